//! docs/cost.md has the tables of the data.

use accllm_hw::card::find;
use accllm_lab::cost::{number, page};

#[test]
fn numbers_in_threes() {
    assert_eq!([0.0, 0.5, 999.0, 1234.4, 1_234_567.0].map(number), ["0", "0.5", "999", "1,234", "1,234,567"]);
}

#[test]
fn the_page_has_the_tables_of_the_data() {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cost.md");
    let text = std::fs::read_to_string(file).unwrap();
    let new = page(&text, find("u280").unwrap(), true).unwrap();
    assert!(new == text, "docs/cost.md: run `accllm estimate --page docs/cost.md`");
    let what = page("nothing", find("u280").unwrap(), true).unwrap_err().to_string();
    assert!(what.contains("configurations"), "{what}");
}
