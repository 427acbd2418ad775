//! Plain drawings (SVG), readable on light and on dark pages, without fonts or scripts of others.

mod lines;
mod rows;

pub use lines::{Curve, Lines};
pub use rows::{Cell, Panel, Row, Rows};

use std::fmt::Write as _;

/// A drawing that is put together piece by piece.
struct Drawing {
    width: f64,
    height: f64,
    body: String,
}

/// Where a text stands relative to its point.
#[derive(Clone, Copy)]
enum Anchor {
    Start,
    Middle,
    End,
}

const STYLE: &str = "\
text{font:12px sans-serif;fill:#333}.small{font-size:11px;fill:#666}.title{font-size:15px;\
font-weight:bold}.ours{fill:#1f77d0}.other{fill:#9a9a9a}.bad{fill:#d9534f}.good{fill:#3a9d5d}\
.line-ours{stroke:#1f77d0;fill:none}.line-other{stroke:#9a9a9a;fill:none}\
.line-bad{stroke:#d9534f;fill:none}.limit{stroke:#d9534f;stroke-dasharray:4 3}.grid{stroke:#888;\
stroke-opacity:.3}.pale{opacity:.4}\
@media(prefers-color-scheme:dark){text{fill:#ddd}.small{fill:#aaa}.ours{fill:#5aa9f5}\
.line-ours{stroke:#5aa9f5}}";

impl Drawing {
    fn new(width: f64, height: f64, title: &str) -> Self {
        let mut drawing = Self { width, height, body: String::new() };
        drawing.text(12.0, 22.0, Anchor::Start, "title", title);
        drawing
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    fn text(&mut self, x: f64, y: f64, anchor: Anchor, class: &str, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.push(format_args!(
            r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" class="{class}">{text}</text>"#
        ));
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.push(format_args!(
            r#"<line x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}" class="{class}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    fn bar(&mut self, x: f64, y: f64, width: f64, class: &str) {
        let width = width.max(0.0);
        self.push(format_args!(
            r#"<rect x="{x:.1}" y="{y:.1}" width="{width:.1}" height="11" class="{class}"/>"#
        ));
    }

    fn dot(&mut self, x: f64, y: f64, class: &str) {
        self.push(format_args!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="4" class="{class}"/>"#));
    }

    fn path(&mut self, points: &[(f64, f64)], class: &str, width: f64) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let points = points.join(" ");
        self.push(format_args!(
            r#"<polyline points="{points}" class="{class}" stroke-width="{width}"/>"#
        ));
    }

    fn finish(self) -> String {
        let Self { width, height, body } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n{body}</svg>\n"
        )
    }
}

/// Numbers to a place along an axis.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
    logarithmic: bool,
}

impl Axis {
    fn at(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        let scale = |x: f64| if self.logarithmic { libm::log(x) } else { x };
        let part = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low));
        self.start + part * (self.end - self.start)
    }
}
