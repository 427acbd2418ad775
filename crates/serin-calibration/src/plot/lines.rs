//! Curves over a common axis.

use super::{Anchor, Axis, Drawing};

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    /// Its name, written at its end; may be empty.
    pub name: String,
    /// `line-ours`, `line-other` or `line-bad`.
    pub class: &'static str,
    /// Width of the line.
    pub width: f64,
    /// Its points.
    pub points: Vec<(f64, f64)>,
}

/// The whole.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Its title.
    pub title: String,
    /// Names of both axes.
    pub axes: [String; 2],
    /// Values to mark on the x axis; the first and the last are its ends.
    pub x: Vec<f64>,
    /// The same for the y axis.
    pub y: Vec<f64>,
    /// Named horizontal lines.
    pub limits: Vec<(f64, String)>,
    /// Curves.
    pub curves: Vec<Curve>,
    /// Class and meaning of curves without a name.
    pub legend: Vec<(&'static str, String)>,
}

const LEFT: f64 = 62.0;
const TOP: f64 = 52.0;
const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 320.0;
/// Room on the right for names.
const ROOM: f64 = 150.0;

impl Lines {
    /// The drawing.
    pub fn svg(&self) -> String {
        let mut drawing = Drawing::new(LEFT + WIDTH + ROOM, TOP + HEIGHT + 50.0, &self.title);
        let linear = |ends: &[f64], start, end| Axis {
            low: ends.first().copied().unwrap_or(0.0),
            high: ends.last().copied().unwrap_or(1.0),
            start,
            end,
            logarithmic: false,
        };
        let x = linear(&self.x, LEFT, LEFT + WIDTH);
        let y = linear(&self.y, TOP + HEIGHT, TOP);
        self.scales(&mut drawing, &x, &y);
        for curve in &self.curves {
            let points: Vec<_> = curve.points.iter().map(|p| (x.at(p.0), y.at(p.1))).collect();
            drawing.path(&points, curve.class, curve.width);
            if let Some(end) = points.last().filter(|_| !curve.name.is_empty()) {
                drawing.text(end.0 + 8.0, end.1 + 4.0, Anchor::Start, "", &curve.name);
            }
        }
        for (at, (class, name)) in self.legend.iter().enumerate() {
            let (x, y) = (LEFT + WIDTH + 8.0, TOP + 8.0 + 18.0 * at as f64);
            drawing.path(&[(x, y), (x + 18.0, y)], class, 2.0);
            drawing.text(x + 24.0, y + 4.0, Anchor::Start, "", name);
        }
        for (value, name) in &self.limits {
            let at = y.at(*value);
            drawing.line((LEFT, at), (LEFT + WIDTH, at), "limit");
            drawing.text(LEFT + WIDTH + 8.0, at + 4.0, Anchor::Start, "small", name);
        }
        drawing.finish()
    }

    fn scales(&self, drawing: &mut Drawing, x: &Axis, y: &Axis) {
        let bottom = TOP + HEIGHT;
        for value in &self.x {
            let at = x.at(*value);
            drawing.line((at, TOP), (at, bottom), "grid");
            drawing.text(at, bottom + 16.0, Anchor::Middle, "small", &value.to_string());
        }
        for value in &self.y {
            let at = y.at(*value);
            drawing.line((LEFT, at), (LEFT + WIDTH, at), "grid");
            drawing.text(LEFT - 8.0, at + 4.0, Anchor::End, "small", &value.to_string());
        }
        let [below, beside] = &self.axes;
        drawing.text(LEFT + WIDTH / 2.0, bottom + 38.0, Anchor::Middle, "", below);
        drawing.text(12.0, TOP - 10.0, Anchor::Start, "small", beside);
    }
}
