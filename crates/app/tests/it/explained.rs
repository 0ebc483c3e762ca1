//! How a census would be counted, as its plan says it.

use crate::whole_way::filled;

#[test]
fn a_plan_names_days_files_and_the_map_and_nothing_is_counted() {
    let house = filled();
    let plan = house.done(&["census", "--by", "month", "--explain"]);
    let lines: Vec<&str> = plan.lines().collect();
    let operators =
        lines.iter().filter(|line| line.starts_with("CountExec: by=[month]"));
    assert_eq!(operators.count(), 2, "one for each map\n{plan}");
    assert!(plan.contains("sightings=[merge of 2 files by address, version"), "{plan}");
    assert!(plan.contains("holders=[merge with the map of 2024-04-02 by"), "{plan}");
    assert!(plan.contains("holders=[merge with the map of each day by"), "{plan}");
    assert!(plan.contains("portion 7: 2024-11-01 to 2024-11-06, ::"), "{plan}");
    let frozen = house.done(&["census", "--on", "each-day", "--explain"]);
    assert_eq!(frozen.matches("CountExec").count(), 1, "{frozen}");
}

#[test]
fn only_a_census_is_counted_on_a_cluster() {
    let house = filled();
    let refused = house.run(&["--cluster", "df://127.0.0.1:1", "panel"]);
    assert_eq!(refused.code, 1);
    assert!(refused.words.contains("only `census`"), "{}", refused.words);
}
