//! Numbers as people read them.

use std::time::Duration;

/// Bytes in units of 1024, with three digits or so: `300.0 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    // Tenths of the unit, so that no rounding can show 1024.0 of one.
    let mut tenths = u128::from(bytes) * 10 / 1024;
    for unit in UNITS {
        if tenths < 10_240 {
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
        tenths /= 1024;
    }
    format!("{} EiB", tenths / 10)
}

/// Bytes in at most six signs, for columns: `0`, `512`, `12.0K`, `1.2M`.
#[must_use]
pub fn short(bytes: u64) -> String {
    size(bytes).replace(" B", "").replace([' ', 'i', 'B'], "")
}

/// Bytes per second: `12.3 MiB/s`.
#[must_use]
pub fn rate(bytes: u64) -> String {
    format!("{}/s", size(bytes))
}

/// A time in its two largest units, whole seconds at the least: `1h 02m`, `5m 03s`, `7s`.
#[must_use]
pub fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs}s"),
        60..3600 => format!("{}m {:02}s", secs / 60, secs % 60),
        3600..86_400 => format!("{}h {:02}m", secs / 3600, secs / 60 % 60),
        _ => format!("{}d {:02}h", secs / 86_400, secs / 3600 % 24),
    }
}

/// A short time with its tenths: `0.4 s`; longer ones as [`duration`].
#[must_use]
pub fn elapsed(time: Duration) -> String {
    if time < Duration::from_secs(60) { format!("{:.1} s", time.as_secs_f64()) } else { duration(time) }
}

/// How many of what: `1 file`, `2 files`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// `part` of `whole` in percent, with two digits; never 100 while anything is missing.
#[must_use]
pub fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 || part >= whole {
        return 100.0;
    }
    let hundredths = u128::from(part) * 10_000 / u128::from(whole);
    f64::from(u32::try_from(hundredths).unwrap_or(9_999)) / 100.0
}

/// Bytes per second over `time`; 0 if no time has passed.
#[must_use]
pub fn mean_rate(bytes: u64, time: Duration) -> u64 {
    let micros = time.as_micros();
    let rate = (u128::from(bytes) * 1_000_000).checked_div(micros).unwrap_or_default();
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// The time that `rest` bytes take at `rate`; `None` while nothing moves.
#[must_use]
pub fn eta(rest: u64, rate: u64) -> Option<Duration> {
    rest.checked_div(rate).map(Duration::from_secs)
}

/// A Unix time in UTC, `2026-11-22 15:37:00 UTC`; `None` outside the years 1 to 9999.
#[must_use]
pub fn date(unix_secs: i64) -> Option<String> {
    let (days, secs) = (unix_secs.div_euclid(86_400), unix_secs.rem_euclid(86_400));
    if !(-719_162..=2_932_896).contains(&days) {
        return None;
    }
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": civil_from_days. Years begin in
    // March there, so that the leap day is the last.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (secs / 3600, secs / 60 % 60, secs % 60);
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_change_their_unit_at_1024() {
        let sizes = [0, 1023, 1024, 1536, (1 << 20) - 1, 1 << 20, 300 << 20, u64::MAX].map(size);
        let want = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1023.9 KiB", "1.0 MiB", "300.0 MiB", "15 EiB"];
        assert_eq!(sizes, want);
    }

    #[test]
    fn short_sizes_have_six_signs_at_most() {
        let sizes = [0, 1023, 12 << 10, (1 << 20) - 1, 300 << 20, u64::MAX].map(short);
        assert_eq!(sizes, ["0", "1023", "12.0K", "1023.9K", "300.0M", "15E"]);
    }

    #[test]
    fn times_have_two_units() {
        let times = [0, 59, 61, 3720, 90_000].map(|secs| duration(Duration::from_secs(secs)));
        assert_eq!(times, ["0s", "59s", "1m 01s", "1h 02m", "1d 01h"]);
        assert_eq!(elapsed(Duration::from_millis(450)), "0.5 s");
    }

    #[test]
    fn a_percentage_is_100_only_when_nothing_is_missing() {
        assert_eq!(percent(0, 10).to_bits(), 0.0_f64.to_bits());
        assert_eq!(percent(1, 3).to_bits(), 33.33_f64.to_bits());
        assert!(percent(u64::MAX - 1, u64::MAX) < 100.0);
        assert_eq!(percent(0, 0).to_bits(), 100.0_f64.to_bits());
    }

    #[test]
    fn rates_survive_no_time_and_no_rate() {
        assert_eq!(mean_rate(10, Duration::ZERO), 0);
        assert_eq!(mean_rate(3 << 20, Duration::from_millis(1500)), 2 << 20);
        assert_eq!((eta(10, 0), eta(100, 10)), (None, Some(Duration::from_secs(10))));
    }

    #[test]
    fn dates_know_leap_years() {
        let of = |secs| date(secs).unwrap();
        assert_eq!(of(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(of(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(of(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(of(4_107_542_400), "2100-03-01 00:00:00 UTC");
        assert_eq!(of(-1), "1969-12-31 23:59:59 UTC");
        assert_eq!((date(i64::MAX), date(i64::MIN)), (None, None));
    }
}
