//! Numbers, dates and names as a reader sees them.
//!
//! **Invariant:** a number in a text is made here, from data; the minus sign is U+2212.

use tidegauge_model::{Day, DayRange, Month};

/// Changes smaller than this share read as "hardly changed". Picked by hand: below it,
/// rounding to a whole per cent would decide the word.
pub(crate) const CHANGE_MIN: f64 = 0.02;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// `count` as a real number; exact below 2^53.
pub(crate) fn real(count: u64) -> f64 {
    let half = |n: u64| f64::from(u32::try_from(n).expect("32 bits"));
    half(count >> 32).mul_add(4_294_967_296.0, half(count & 0xffff_ffff))
}

/// A small count of things on a page, such as rows, as a real number.
pub(crate) fn place(index: usize) -> f64 {
    u32::try_from(index).map_or(f64::MAX, f64::from)
}

/// `1234567` as `1,234,567`.
pub(crate) fn grouped(count: u64) -> String {
    group_digits(&count.to_string())
}

/// A real number rounded to a whole one, with groups.
pub(crate) fn whole(value: f64) -> String {
    let text = group_digits(&format!("{:.0}", value.abs()));
    if value < 0.0 && text != "0" { format!("\u{2212}{text}") } else { text }
}

fn group_digits(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Short form for labels: `7.03m`, `412k`, `950`.
pub(crate) fn short(value: f64) -> String {
    match value.abs() {
        a if a >= 999_500.0 => format!("{}m", trimmed(value / 1e6, 2)),
        a if a >= 99_950.0 => format!("{}k", trimmed(value / 1e3, 0)),
        _ => whole(value),
    }
}

/// A form for sentences: `7.03 million`, `22,014`.
pub(crate) fn spoken(value: f64) -> String {
    if value.abs() >= 999_500.0 {
        format!("{} million", trimmed(value / 1e6, 2))
    } else {
        whole(value)
    }
}

/// With at most `places` decimals, without trailing zeros.
pub(crate) fn trimmed(value: f64, places: usize) -> String {
    let text = format!("{:.*}", places, value.abs());
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    if value < 0.0 && text != "0" { format!("\u{2212}{text}") } else { text.to_owned() }
}

/// A share as a whole per cent: `0.584` is `58%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{}%", whole((share * 100.0).round()))
}

/// A share with one decimal.
pub(crate) fn percent_fine(share: f64) -> String {
    format!("{}%", trimmed(share * 100.0, 1))
}

/// An interval of shares: `56–60%`.
pub(crate) fn percent_span(low: f64, high: f64) -> String {
    let ends = (low * 100.0, high * 100.0);
    let join = if ends.0 < 0.0 { " to " } else { "\u{2013}" };
    format!("{}{join}{}%", trimmed(ends.0, 0), trimmed(ends.1, 0))
}

/// A change as a signed per cent: `−64%`, `+3%`.
pub(crate) fn change(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return "n/a".to_owned();
    }
    let share = after / before - 1.0;
    if share > 0.005 { format!("+{}", percent(share)) } else { percent(share) }
}

/// A change in words: `fell by 64%`, `rose by 3%`, `hardly changed`.
pub(crate) fn moved(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return if after > 0.0 { "rose from none" } else { "stayed at none" }
            .to_owned();
    }
    let share = after / before - 1.0;
    if share.abs() < CHANGE_MIN {
        "hardly changed".to_owned()
    } else if share < 0.0 {
        format!("fell by {}", percent(-share))
    } else {
        format!("rose by {}", percent(share))
    }
}

/// `April`.
pub(crate) fn month_name(month: Month) -> &'static str {
    let index = usize::try_from(month.number() - 1).expect("a month is 1 to 12");
    MONTHS.get(index).expect("a month is 1 to 12")
}

/// `Apr`.
pub(crate) fn month_short(month: Month) -> &'static str {
    month_name(month).get(..3).expect("names of months are ASCII and longer")
}

/// `April 2024`.
pub(crate) fn month_year(month: Month) -> String {
    format!("{} {}", month_name(month), month.year())
}

/// `20 June 2024`.
pub(crate) fn day_long(day: Day) -> String {
    format!("{} {}", day.date().day(), month_year(day.month()))
}

/// `20 Jun`.
pub(crate) fn day_short(day: Day) -> String {
    format!("{} {}", day.date().day(), month_short(day.month()))
}

/// `20 Jun`, or `17–19 Sep` where it is not known which of them.
pub(crate) fn days_short(range: DayRange) -> String {
    let (first, last) = (range.first(), range.last());
    if first == last {
        day_short(first)
    } else if first.month() == last.month() {
        format!("{}–{}", first.date().day(), day_short(last))
    } else {
        format!("{}–{}", day_short(first), day_short(last))
    }
}

/// Days as a name: `April 2024` for a whole month, a day by itself, else both ends.
pub(crate) fn days(range: DayRange) -> String {
    let month = range.first().month();
    if range == DayRange::month(month) {
        month_year(month)
    } else if range.first() == range.last() {
        day_long(range.first())
    } else {
        format!("{} to {}", day_long(range.first()), day_long(range.last()))
    }
}

/// Two windows as they stand in a sentence: `April and November 2024`.
pub(crate) fn windows(before: DayRange, after: DayRange) -> String {
    let (first, second) = (before.first().month(), after.first().month());
    let whole = before == DayRange::month(first) && after == DayRange::month(second);
    if whole && first.year() == second.year() {
        format!("{} and {}", month_name(first), month_year(second))
    } else {
        format!("{} and {}", days(before), days(after))
    }
}

/// `one organisation`, `12 organisations`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    if count == 1 { format!("one {one}") } else { format!("{} {many}", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_and_exact() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert!((real(1 << 40) - 1_099_511_627_776.0).abs() < 0.5);
        assert_eq!(short(7_031_000.0), "7.03m");
        assert_eq!(short(412_345.0), "412k");
        assert_eq!(spoken(2_000_000.0), "2 million");
    }

    #[test]
    fn words_follow_the_numbers() {
        assert_eq!(moved(100.0, 36.0), "fell by 64%");
        assert_eq!(moved(100.0, 112.0), "rose by 12%");
        assert_eq!(moved(100.0, 99.0), "hardly changed");
        assert_eq!(moved(0.0, 5.0), "rose from none");
        assert_eq!(change(100.0, 36.0), "\u{2212}64%");
        assert_eq!(change(100.0, 100.1), "0%");
    }

    #[test]
    fn whole_months_are_named() {
        let month = |text: &str| DayRange::month(text.parse().unwrap());
        assert_eq!(days(month("2024-04")), "April 2024");
        assert_eq!(
            windows(month("2024-04"), month("2024-11")),
            "April and November 2024"
        );
        let part =
            DayRange::new("2024-04-01".parse().unwrap(), "2024-04-07".parse().unwrap());
        assert_eq!(days(part.unwrap()), "1 April 2024 to 7 April 2024");
    }
}
