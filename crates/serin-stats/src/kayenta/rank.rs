//! Ranks with ties.

/// The rank of each value, from 1; equal values share the mean of their ranks. The second part
/// is the sum of `t^3 - t` over the groups of `t` equal values, which variances are corrected by.
pub fn average_ranks(values: &[f64]) -> (Vec<f64>, f64) {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&i, &j| values[i].total_cmp(&values[j]));
    let mut ranks = vec![0.0; values.len()];
    let (mut first, mut ties) = (0, 0.0);
    while first < order.len() {
        let rest = &order[first..];
        let same = |&&i: &&usize| values[i].total_cmp(&values[rest[0]]).is_eq();
        let size = rest.iter().take_while(same).count();
        for &i in &rest[..size] {
            ranks[i] = first as f64 + f64::midpoint(size as f64, 1.0);
        }
        let t = size as f64;
        ties += t * t * t - t;
        first += size;
    }
    (ranks, ties)
}
