//! What a value of a scenario means: sizes, times, ranges of times, shares. What is absurd is refused
//! here, where the place in the file is known.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::time::Duration;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The longest time that is taken: a year. It keeps every sum of times far from overflow.
const TIME_MAX: Duration = Duration::from_secs(366 * 86_400);

/// The most bytes that are taken: a PiB.
const SIZE_MAX: u64 = 1 << 50;

const TIME_WANTED: &str = "a time like 90, \"45s\", \"10ms\" or \"1h30m\", of a year at most";
const SPREAD_WANTED: &str =
    "a time or a range of times like \"10ms..80ms\", the shorter one first, of a year at most";
const SIZE_WANTED: &str = "a size like 65536, \"500K\", \"2M\" or \"1GiB\", from a byte to 1024T";
const SHARE_WANTED: &str = "a share from 0 to 1, in thousandths";

/// A field of another type that is read as an `N`.
pub(super) fn plain<'de, D, N, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Into<T>,
{
    N::deserialize(from).map(Into::into)
}

/// A field that may be left out, of another type that is read as an `N`.
pub(super) fn maybe<'de, D, N, T>(from: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Into<T>,
{
    plain::<D, N, T>(from).map(Some)
}

/// A list of another type that is read as `N`s.
pub(super) fn list<'de, D, N, T>(from: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    N: Deserialize<'de> + Into<T>,
{
    Vec::<N>::deserialize(from).map(|list| list.into_iter().map(Into::into).collect())
}

/// Whole numbers in a range, both ends included.
pub(super) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> From<Whole<MIN, MAX>> for u64 {
    fn from(whole: Whole<MIN, MAX>) -> Self {
        whole.0
    }
}

impl<const MIN: u64, const MAX: u64> From<Whole<MIN, MAX>> for u32 {
    fn from(whole: Whole<MIN, MAX>) -> Self {
        Self::try_from(whole.0).unwrap_or(Self::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> From<Whole<MIN, MAX>> for usize {
    fn from(whole: Whole<MIN, MAX>) -> Self {
        Self::try_from(whole.0).unwrap_or(Self::MAX)
    }
}

impl<const MIN: u64, const MAX: u64> Reads for Whole<MIN, MAX> {
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a whole number from {MIN} to {MAX}")
    }

    fn of_number(number: u64) -> Option<Self> {
        (MIN..=MAX).contains(&number).then_some(Self(number))
    }
}

impl<'de, const MIN: u64, const MAX: u64> Deserialize<'de> for Whole<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadVisitor(PhantomData))
    }
}

/// A share of a whole, from 0 to 1.
pub(super) struct Share(f64);

impl From<Share> for f64 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl Reads for Share {
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHARE_WANTED)
    }

    fn of_number(number: u64) -> Option<Self> {
        Self::of_fraction(f64::from(u32::try_from(number).ok()?))
    }

    fn of_fraction(number: f64) -> Option<Self> {
        // Chances are drawn in thousandths: less than half of one would be none without a word.
        (number == 0.0 || (0.0005..=1.0).contains(&number)).then_some(Self(number))
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadVisitor(PhantomData))
    }
}

/// What a value that is a number or a text means; `None` if it is absurd.
trait Reads: Sized {
    /// Says what would not be.
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result;

    fn of_number(number: u64) -> Option<Self>;

    fn of_fraction(_: f64) -> Option<Self> {
        None
    }

    fn of_text(_: &str) -> Option<Self> {
        None
    }
}

struct ReadVisitor<T>(PhantomData<T>);

impl<T: Reads> Visitor<'_> for ReadVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::wanted(f)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        let value = u64::try_from(number).ok().and_then(T::of_number);
        value.ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::of_fraction(number).ok_or_else(|| E::invalid_value(de::Unexpected::Float(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::of_text(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

/// Bytes, or bytes per second; at least 1.
pub(super) struct Size(u64);

impl From<Size> for u64 {
    fn from(size: Size) -> Self {
        size.0
    }
}

impl From<Size> for usize {
    fn from(size: Size) -> Self {
        Self::try_from(size.0).unwrap_or(Self::MAX)
    }
}

impl Reads for Size {
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SIZE_WANTED)
    }

    fn of_number(number: u64) -> Option<Self> {
        (1..=SIZE_MAX).contains(&number).then_some(Self(number))
    }

    fn of_text(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let power = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
            "" | "b" => 0,
            "k" | "kb" | "kib" => 1,
            "m" | "mb" | "mib" => 2,
            "g" | "gb" | "gib" => 3,
            "t" | "tb" | "tib" => 4,
            _ => return None,
        };
        Self::of_number(digits.parse::<u64>().ok()?.checked_mul(1 << (10 * power))?)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadVisitor(PhantomData))
    }
}

/// A time.
pub(super) struct Time(Duration);

impl From<Time> for Duration {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl Reads for Time {
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TIME_WANTED)
    }

    fn of_number(number: u64) -> Option<Self> {
        Some(Duration::from_secs(number)).filter(|time| *time <= TIME_MAX).map(Self)
    }

    fn of_text(text: &str) -> Option<Self> {
        let mut rest = text;
        let mut sum = Duration::ZERO;
        while !rest.is_empty() {
            let (digits, behind) =
                rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len()));
            let (unit, behind) =
                behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
            let unit_ms: u64 = match unit {
                "ms" => 1,
                "" | "s" => 1000,
                "m" | "min" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                _ => return None,
            };
            let part = Duration::from_millis(digits.parse::<u64>().ok()?.checked_mul(unit_ms)?);
            sum = sum.checked_add(part)?;
            rest = behind;
        }
        (!text.is_empty() && sum <= TIME_MAX).then_some(Self(sum))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadVisitor(PhantomData))
    }
}

/// A time out of a range; each draw is another.
pub(super) struct Spread(Range<Duration>);

impl From<Spread> for Range<Duration> {
    fn from(spread: Spread) -> Self {
        spread.0
    }
}

impl Reads for Spread {
    fn wanted(f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SPREAD_WANTED)
    }

    fn of_number(number: u64) -> Option<Self> {
        Time::of_number(number).map(|time| Self(time.0..time.0))
    }

    fn of_text(text: &str) -> Option<Self> {
        let (first, last) = text.split_once("..").unwrap_or((text, text));
        let (first, last) = (Time::of_text(first.trim())?, Time::of_text(last.trim())?);
        (first.0 <= last.0).then_some(Self(first.0..last.0))
    }
}

impl<'de> Deserialize<'de> for Spread {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadVisitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_of_1024() {
        let size = |text| Size::of_text(text).map(|size| size.0);
        assert_eq!((size("7"), size("2K"), size("1MiB")), (Some(7), Some(2048), Some(1 << 20)));
        assert_eq!([size("0"), size("-1"), size("1x"), size("9999999T"), size("")], [None; 5]);
    }

    #[test]
    fn times_and_their_ranges_are_told_apart_from_nonsense() {
        let time = |text| Time::of_text(text).map(|time| time.0.as_millis());
        assert_eq!((time("90"), time("10ms"), time("1h30m")), (Some(90_000), Some(10), Some(5_400_000)));
        assert_eq!([time(""), time("1y"), time("367d"), time("m"), time("-1s")], [None; 5]);
        let spread =
            |text| Spread::of_text(text).map(|Spread(range)| (range.start.as_secs(), range.end.as_secs()));
        assert_eq!((spread("1..2m"), spread("5s")), (Some((1, 120)), Some((5, 5))));
        assert_eq!([spread("2..1"), spread(".."), spread("1..")], [None; 3]);
    }
}
