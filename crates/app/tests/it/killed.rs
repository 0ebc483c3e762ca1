//! Killed at a hundred points of appending, compacting and putting pseudonyms in the place of
//! addresses: the lake opens, and when the same commands have run to their end nothing is lost
//! and nothing is there twice.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::run::House;
use crate::whole_way;

/// Runs that must be killed before their end.
const KILLS: u32 = 100;
/// Runs that are begun for that: some end before their kill.
const POINTS_MAX: u32 = 10 * KILLS;
/// What is appended, input by input, then compacted, then no longer kept by address.
const INPUTS: usize = 2;

/// The commands of one lake, as a program for the shell: killed as one.
const COMMANDS: &str = "for input in logs/*; do \
     \"$0\" --lake \"$1\" ingest \"$input\" --vantage probe || exit 1; done; \
     \"$0\" --lake \"$1\" lake compact || exit 1; \
     exec \"$0\" --lake \"$1\" lake retention --before 2024-07-01 --key keys --without-holders";

/// Runs the commands, and kills them after so long.
fn commands(house: &House, lake: &str, kill_after: Option<Duration>) -> bool {
    let mut command = Command::new("timeout");
    let limit = kill_after.map_or(600.0, |after| after.as_secs_f64());
    command.args(["-s", "KILL", &format!("{limit:.4}"), "sh", "-c", COMMANDS]);
    command.args([env!("CARGO_BIN_EXE_tidegauge"), lake]);
    let output = command.current_dir(house.path("")).output().unwrap();
    output.status.success()
}

/// Everything that is counted, to the last contact, and how many rows that is.
fn content(house: &House, lake: &str) -> [String; 3] {
    let all = ["--lake", lake, "--format", "csv"];
    let census =
        ["census", "--internal", "--on", "each-day", "--by", "product,vantage,day"];
    let rows = ["sql", "SELECT count(*), sum(contacts) FROM sightings"];
    let pseudonyms =
        ["sql", "SELECT count(*) FROM holders WHERE address LIKE 'pseudonym:%'"];
    [&census[..], &rows, &pseudonyms]
        .map(|asked| house.done(&[&all[..], asked].concat()))
}

fn house() -> House {
    let house = House::new();
    house.done(&["lake", "key", "keys"]);
    let (conn, ssl) = whole_way::logs();
    for input in 0..INPUTS {
        for (name, log) in [("conn", &conn), ("ssl", &ssl)] {
            let lines = log
                .lines()
                .enumerate()
                .filter(|(at, line)| line.starts_with('#') || at % INPUTS == input);
            let lines: Vec<_> = lines.map(|(_, line)| line).collect();
            house.file(&format!("logs/{input}/{name}.log"), lines.join("\n") + "\n");
        }
    }
    house
}

#[test]
fn at_a_hundred_points_nothing_is_lost_and_nothing_twice() {
    let house = house();
    let began = Instant::now();
    assert!(commands(&house, "whole", None));
    let whole = began.elapsed();
    let expected = content(&house, "whole");
    let (mut lake, mut killed) = (0, 0);
    for point in 0..POINTS_MAX {
        let name = format!("lake{lake}");
        // Spread over the whole run, nowhere twice: multiples of the golden ratio.
        let at = (f64::from(point) * 0.618_033_988_75).fract();
        let ended = commands(&house, &name, Some(whole.mul_f64(at)));
        killed += u32::from(!ended);
        if ended || killed == KILLS {
            assert!(commands(&house, &name, None), "{name} is finished");
            assert_eq!(content(&house, &name), expected, "{name}");
            lake += 1;
        } else {
            let check = house.run(&["--lake", &name, "lake", "check"]);
            let none_yet = check.words.contains("there is no lake");
            assert!(check.code == 0 || none_yet, "{name}: {}", check.words);
        }
        if killed == KILLS {
            return;
        }
    }
    panic!("of {POINTS_MAX} runs only {killed} were killed before their end");
}
