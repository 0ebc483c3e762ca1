//! A build without the cluster: the flags are there, and say what to do.

use crate::run::House;

#[test]
fn without_the_cluster_its_flags_say_how_to_build_it() {
    let house = House::new();
    for asked in [
        &["--cluster", "df://127.0.0.1:50050", "census"][..],
        &["cluster", "scheduler"],
        &["cluster", "executor"],
    ] {
        let refused = house.run(asked);
        assert_eq!(refused.code, 1, "{}", refused.words);
        assert!(refused.words.contains("--features cluster"), "{}", refused.words);
        assert!(refused.out.is_empty());
    }
}
