//! The header `Retry-After`: seconds, or an HTTP date.

use std::time::{Duration, SystemTime};

/// The wait that `value` asks for. A date is compared with the answer's own `Date`, and with the
/// clock of this machine only without one: a small board's clock may not be set.
pub(crate) fn parse(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim_ascii();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map(|d| d.as_secs());
    let now = date.and_then(seconds_of_date).or_else(|| now().ok())?;
    seconds_of_date(value).map(|then| Duration::from_secs(then.saturating_sub(now)))
}

/// The seconds since 1970 of an HTTP date, in any of the three forms of RFC 9110, 5.6.7.
fn seconds_of_date(date: &str) -> Option<u64> {
    let mut parts = [""; 6];
    let mut words = date.split([' ', ',', '-']).filter(|word| !word.is_empty());
    parts.iter_mut().zip(&mut words).for_each(|(part, word)| *part = word);
    let (day, month, year, time) = match parts {
        _ if words.next().is_some() => return None,
        // Sun, 06 Nov 1994 08:49:37 GMT and Sunday, 06-Nov-94 08:49:37 GMT
        [_, day, month, year, time, "GMT"] => (day, month, year, time),
        // Sun Nov  6 08:49:37 1994
        [_, month, day, time, year, ""] => (day, month, year, time),
        _ => return None,
    };
    let number = |text: &str, most: u64| {
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u64>().ok().filter(|n| digits && *n <= most)
    };

    let year = match (year.len(), number(year, 9999)?) {
        (4, year) => year.checked_sub(1970)? + 1970,
        (2, year) if year < 70 => year + 2000,
        (2, year) => year + 1900,
        _ => return None,
    };
    let months =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|name| *name == month)? as u64;
    let day = number(day, 31)?.checked_sub(1)?;

    let mut clock = time.split(':').map(|part| number(part, 60));
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    if clock.next().is_some() || hour > 23 || minute > 59 {
        return None;
    }

    // Days since 1970 with years that begin in March, so that a leap day is a year's last.
    let (march_year, march_month) =
        if month < 2 { (year - 1, month + 10) } else { (year, month - 2) };
    let leap_days = march_year / 4 - march_year / 100 + march_year / 400;
    let days = march_year * 365 + leap_days + (march_month * 153 + 2) / 5 + day;
    let days = days.checked_sub(719_468)?;
    Some(days * 86_400 + hour * 3600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_all_three_forms() {
        for (date, seconds) in [
            ("Thu, 01 Jan 1970 00:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777)),
            ("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777)),
            ("Sun Nov  6 08:49:37 1994", Some(784_111_777)),
            ("Tue, 29 Feb 2000 23:59:60 GMT", Some(951_868_800)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(253_402_300_799)),
            ("Sunday, 01-Mar-70 00:00:00 GMT", Some(5_097_600)),
            ("Friday, 31-Dec-99 00:00:00 GMT", Some(946_598_400)),
            ("Friday, 01-Mar-69 00:00:00 GMT", Some(3_129_321_600)),
            ("Saturday, 01-Jan-00 00:00:00 GMT", Some(946_684_800)),
            ("Mon, 01 Jan 2024 00:00:00 GMT", Some(1_704_067_200)),
            ("Thu, 01 Feb 2024 00:00:00 GMT", Some(1_706_745_600)),
            ("Fri, 01 Mar 2024 00:00:00 GMT", Some(1_709_251_200)),
            ("Mon, 01 Apr 2024 00:00:00 GMT", Some(1_711_929_600)),
            ("Wed, 01 May 2024 00:00:00 GMT", Some(1_714_521_600)),
            ("Sat, 01 Jun 2024 00:00:00 GMT", Some(1_717_200_000)),
            ("Mon, 01 Jul 2024 00:00:00 GMT", Some(1_719_792_000)),
            ("Thu, 01 Aug 2024 00:00:00 GMT", Some(1_722_470_400)),
            ("Sun, 01 Sep 2024 00:00:00 GMT", Some(1_725_148_800)),
            ("Tue, 01 Oct 2024 00:00:00 GMT", Some(1_727_740_800)),
            ("Fri, 01 Nov 2024 00:00:00 GMT", Some(1_730_419_200)),
            ("Sun, 01 Dec 2024 00:00:00 GMT", Some(1_733_011_200)),
            ("Thu, 29 Feb 2024 00:00:00 GMT", Some(1_709_164_800)),
            ("Sun, 06 Nov 1994 08:49:37", None),
            ("Sun, 06 Nov 1994 08:49:37 GMT GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("Sun, 32 Nov 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1969 08:49:37 GMT", None),
            ("Sun, 06 Now 1994 08:49:37 GMT", None),
            ("Sun, 06 Nov 1994 24:00:00 GMT", None),
            ("Sun, 06 Nov 1994 08:49 GMT", None),
            ("Sun, +6 Nov 1994 08:49:37 GMT", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(seconds_of_date(date), seconds, "{date}");
        }
    }

    #[test]
    fn seconds_and_dates() {
        let noon = Some("Sun, 22 Nov 2026 12:00:00 GMT");
        let secs = Duration::from_secs;
        for (value, date, wait) in [
            ("0", None, Some(secs(0))),
            (" 120 ", None, Some(secs(120))),
            ("99999999999999999999999", None, Some(secs(u64::MAX))),
            ("Sun, 22 Nov 2026 12:01:30 GMT", noon, Some(secs(90))),
            ("Sun, 22 Nov 2026 11:00:00 GMT", noon, Some(secs(0))),
            ("Thu, 01 Jan 1970 00:00:00 GMT", None, Some(secs(0))),
            ("-1", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", noon, None),
        ] {
            assert_eq!(parse(value, date), wait, "{value}");
        }
        // Without a `Date`, the clock of this machine counts.
        assert!(parse("Fri, 31 Dec 9999 23:59:59 GMT", None) > Some(secs(1_000_000)));
    }
}
