//! Numbers and addresses as logs write them, read in one go over their digits.
//!
//! **Invariant:** what is read here, the standard library reads as the same; what is not,
//! it may read, and is asked.

use std::net::Ipv4Addr;

use tidegauge_model::Address;

/// More digits may not fit 64 bits as millionths.
const DIGITS_MAX: usize = 12;
/// Powers of ten, to fill a fraction up to millionths.
const FILL: [u64; 7] = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];

/// The number that digits at the start of `text` make, and how many they are. Of more than
/// [`DIGITS_MAX`] the number is not to be used.
#[inline]
fn digits(text: &[u8]) -> (u64, usize) {
    let (mut number, mut count) = (0_u64, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        count += 1;
    }
    (number, count)
}

/// A number of up to twelve digits and nothing else.
#[inline]
pub(crate) fn whole(text: &[u8]) -> Option<u64> {
    let (number, count) = digits(text);
    (count == text.len() && (1..=DIGITS_MAX).contains(&count)).then_some(number)
}

/// Millionths of a plain decimal number, `1517336042.090842`; what is after the sixth digit
/// of the fraction is cut.
#[inline]
pub(crate) fn millionths(text: &[u8]) -> Option<u64> {
    let (whole, count) = digits(text);
    if !(1..=DIGITS_MAX).contains(&count) {
        return None;
    }
    let fraction = match text.get(count..)? {
        [] => return Some(whole * 1_000_000),
        [b'.', fraction @ ..] => fraction,
        _ => return None,
    };
    let kept = fraction.get(..6).unwrap_or(fraction);
    let (part, count) = digits(kept);
    let rest = fraction.get(count..).unwrap_or_default();
    if count < kept.len() || !rest.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(whole * 1_000_000 + part * FILL.get(count).copied().unwrap_or(1))
}

/// An address as text.
#[inline]
pub(crate) fn address(text: &str) -> Option<Address> {
    match plain_v4(text.as_bytes()) {
        Some(v4) => Some(v4.into()),
        None => text.parse().ok(),
    }
}

/// An IPv4 address of four numbers without zeros before them.
#[inline]
fn plain_v4(text: &[u8]) -> Option<Ipv4Addr> {
    let (mut bits, mut octet, mut digits, mut dots) = (0_u32, 0_u32, 0, 0);
    for byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            if digits == 3 || (digits == 1 && octet == 0) {
                return None;
            }
            octet = octet * 10 + u32::from(digit);
            digits += 1;
        } else {
            if *byte != b'.' || digits == 0 || octet > 255 || dots == 3 {
                return None;
            }
            bits = bits << 8 | octet;
            (octet, digits, dots) = (0, 0, dots + 1);
        }
    }
    let whole = dots == 3 && digits > 0 && octet <= 255;
    whole.then(|| Ipv4Addr::from_bits(bits << 8 | octet))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn addresses_are_those_of_the_standard_library(
            text in "[0-9]{1,4}\\.[0-9]{0,3}\\.[0-9]{1,3}\\.?[0-9]{1,3}[.0-9a-f:]{0,2}",
            octets: [u8; 4],
            wild: String,
        ) {
            for text in [text, Ipv4Addr::from(octets).to_string(), wild] {
                prop_assert_eq!(address(&text), text.parse().ok(), "{}", text);
            }
            let plain = Ipv4Addr::from(octets).to_string();
            prop_assert_eq!(plain_v4(plain.as_bytes()), Some(octets.into()));
        }

        #[test]
        fn numbers_are_those_of_the_standard_library(text in "[+-]?[0-9]{0,14}[.x]?") {
            if let Some(number) = whole(text.as_bytes()) {
                prop_assert_eq!(text.parse(), Ok(number));
            }
        }

        #[test]
        fn fractions_are_filled_and_cut(whole in 0u64..1_000_000_000_000, part in "[0-9]{0,9}") {
            let padded = format!("{part:0<6}");
            let micros: u64 = padded.get(..6).unwrap().parse().unwrap();
            let text = format!("{whole}.{part}");
            prop_assert_eq!(millionths(text.as_bytes()), Some(whole * 1_000_000 + micros));
            prop_assert_eq!(millionths(format!("{text}x").as_bytes()), None);
        }
    }

    #[test]
    fn what_is_no_plain_number_is_left_to_others() {
        for text in ["", ".", ".5", "x", "-1", "1e9", "1.5.", "1.1234567x"] {
            assert_eq!(millionths(text.as_bytes()), None, "{text}");
        }
        assert_eq!(millionths(b"5"), Some(5_000_000));
        assert_eq!(millionths(b"5."), Some(5_000_000));
        assert_eq!(millionths(b"1234567890123"), None);
    }
}
