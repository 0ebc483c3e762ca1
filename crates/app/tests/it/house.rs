//! What surrounds the pipe: settings, completions, manual, reference, the catalog.

use crate::run::House;

#[test]
fn settings_print_as_a_file_that_reads_back() {
    let house = House::new();
    let printed = house.done(&["config"]);
    house.file("tidegauge.toml", printed.replace("\"./lake\"", "\"./other\""));
    let again = house.done(&["config"]);
    assert!(again.contains("lake = \"./other\""), "{again}");
    let flagged = house.done(&["--lake", "third", "config"]);
    assert!(flagged.contains("lake = \"third\""), "a flag wins over the file");
}

#[test]
fn unknown_settings_end_with_2() {
    let house = House::new();
    house.file("tidegauge.toml", "lack = 'x'\n");
    let ended = house.run(&["config"]);
    assert_eq!(ended.code, 2, "{}", ended.words);
    assert!(ended.words.contains("tidegauge.toml"), "{}", ended.words);
    assert!(ended.words.contains("hint"), "{}", ended.words);
    assert_eq!(ended.out, "");
}

#[test]
fn unknown_flags_end_with_2() {
    assert_eq!(House::new().run(&["census", "--no-such-flag"]).code, 2);
}

#[test]
fn completions_and_manual_name_every_verb() {
    let house = House::new();
    let script = house.done(&["completions", "bash"]);
    let manual = house.done(&["man"]);
    for verb in
        ["ingest", "census", "assess", "exposure", "watch", "report", "serve", "demo"]
    {
        assert!(script.contains(verb), "completions lack {verb}");
        assert!(manual.contains(verb), "the manual lacks {verb}");
    }
}

#[test]
fn the_built_in_catalog_is_sound() {
    let house = House::new();
    let warnings = house.rows(&["catalog", "check"]);
    let serious = warnings.iter().filter(|w| {
        w["warning"].as_str().is_some_and(|text| text.contains("has no source"))
    });
    assert_eq!(serious.count(), 0, "{warnings:?}");
    assert!(house.rows(&["catalog", "list", "--product", "kaspersky"]).len() > 20);
}

#[test]
fn the_catalog_explains_names_and_addresses() {
    let house = House::new();
    let said = house.done(&[
        "catalog",
        "explain",
        "s07.upd.kaspersky.com",
        "--on",
        "2024-04-01",
    ]);
    assert!(
        said.contains("s07.upd.kaspersky.com on 2024-04-01 is kaspersky/"),
        "{said}"
    );
    let carrier =
        house.done(&["catalog", "explain", "82.202.186.1", "--on", "2024-04-01"]);
    assert!(carrier.contains("matches nothing"), "{carrier}");
    assert!(carrier.contains("excluded"), "{carrier}");
}

#[test]
fn a_wrong_catalog_is_told_with_file_line_and_every_mistake() {
    let house = House::new();
    house.file(
        "own/catalog/wrong.toml",
        "[product]\nid = \"wrong\"\nname = \"Wrong\"\nvendor = \"w\"\n\n\
         [[endpoint]]\nname = \"a\"\nrole = \"update\"\nmatch = \"regex\"\npattern = \"(\"\n\
         weight = \"strong\"\nsource = \"s\"\nconfidence = \"high\"\n\n\
         [[endpoint]]\nname = \"b\"\nrole = \"update\"\nmatch = \"suffix\"\npattern = \"com\"\n\
         weight = \"strong\"\nsource = \"s\"\nconfidence = \"high\"\n",
    );
    let ended = house.run(&["--data", "own", "catalog", "check"]);
    assert_eq!(ended.code, 1);
    assert!(ended.words.contains("2 mistakes"), "{}", ended.words);
    assert!(ended.words.contains("wrong.toml:"), "{}", ended.words);
}
