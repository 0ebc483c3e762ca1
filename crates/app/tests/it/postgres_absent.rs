//! A build without the door for clients of `PostgreSQL`: the flag is there, and says what to
//! do.

use crate::whole_way::filled;

#[test]
fn without_the_door_its_flag_says_how_to_build_it() {
    let house = filled();
    let listen = ["serve", "--listen", "127.0.0.1:0", "--postgres", "127.0.0.1:0"];
    let refused = house.run(&listen);
    assert_eq!(refused.code, 1, "{}", refused.words);
    assert!(refused.words.contains("--features postgres"), "{}", refused.words);
}
