//! The guide's example runs, and is the one in the guide.

use crate::example;

#[tokio::test]
async fn the_example_moves_a_shop() {
    let Some((cluster, old, new)) = crate::two() else { return };
    let report = example::run(&cluster.url(&old), &cluster.url(&new)).await.unwrap();
    assert_eq!(report.rows_to, 21);
    // The last order may still be on its way to the old store when the rows are counted.
    assert!((20..=21).contains(&report.rows_from), "{report:?}");
    assert!(report.is_equal(), "{report:?}");
}

#[test]
fn the_guide_has_the_example_as_it_is() {
    let guide = include_str!("../../../../docs/store-to-store.md");
    let example = include_str!("../../examples/two_stores.rs");
    assert!(guide.contains(example), "docs/store-to-store.md does not have examples/two_stores.rs");
}
