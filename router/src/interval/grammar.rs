//! The texts of a time interval: Alertmanager's ranges, read strictly, with a remedy for each mistake.

use std::borrow::Cow;

use crate::error::nearest;

/// Numbered from 0, as the week begins on Sunday.
const WEEKDAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
/// Numbered from 1.
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
/// Of a text that is quoted in a message, or compared with the names that may be meant.
const SHOWN_CHARS: usize = 60;

/// The first and the last, both part of it.
pub(super) type Range = (i64, i64);

/// 0 (Sunday) to 6.
pub(super) fn weekdays(text: &str) -> Result<Range, String> {
    let read = |word: &str| {
        WEEKDAYS.iter().position(|name| *name == word).map(index).ok_or_else(|| {
            let hint =
                named(word, &WEEKDAYS).unwrap_or("write sunday, monday … or saturday".into());
            format!("`{}` is not a weekday: {hint}", shown(word))
        })
    };
    let (first, last) = ends(text, read)?;
    if first > last {
        let day = |number: i64| name_of(&WEEKDAYS, number);
        return Err(format!(
            "`{}` ends before it begins, as the week begins on sunday: write two, `{}` and `{}`",
            shown(text),
            span(day(first), "saturday"),
            span("sunday", day(last)),
        ));
    }
    Ok((first, last))
}

/// 1 to 12.
pub(super) fn months(text: &str) -> Result<Range, String> {
    let read = |word: &str| {
        let by_name = MONTHS.iter().position(|name| *name == word).map(|i| index(i) + 1);
        let number = by_name.or_else(|| word.parse().ok());
        number.filter(|number| (1..=12).contains(number)).ok_or_else(|| {
            let hint =
                named(word, &MONTHS).unwrap_or("write january, february … or 1 to 12".into());
            format!("`{}` is not a month: {hint}", shown(word))
        })
    };
    let (first, last) = ends(text, read)?;
    if first > last {
        let month = |number: i64| name_of(&MONTHS, number - 1);
        return Err(format!(
            "`{}` ends before it begins: write two, `{}` and `{}`",
            shown(text),
            span(month(first), "december"),
            span("january", month(last)),
        ));
    }
    Ok((first, last))
}

/// Any; those that no calendar has never come.
pub(super) fn years(text: &str) -> Result<Range, String> {
    let read = |word: &str| {
        let year = word.parse().ok();
        year.ok_or_else(|| format!("`{}` is not a year: write it like 2026", shown(word)))
    };
    let (first, last) = ends(text, read)?;
    if first > last {
        return Err(format!("`{}` ends before it begins: write `{last}:{first}`", shown(text)));
    }
    Ok((first, last))
}

/// 1 to 31, or -31 to -1 from the end of the month. A range that some month has is fine.
pub(super) fn days_of_month(text: &str) -> Result<Range, String> {
    let read = |word: &str| {
        let day = word.parse().ok();
        day.filter(|day| *day != 0 && (-31..=31).contains(day)).ok_or_else(|| {
            format!(
                "`{}` is not a day of the month: write 1 to 31, or -1 (the last day) to -31",
                shown(word)
            )
        })
    };
    let (first, last) = ends(text, read)?;
    if first < 0 && last > 0 {
        return Err(format!(
            "`{}` begins at the end of a month and ends in the next: write two, `{}` and `{}`",
            shown(text),
            if first == -1 { "-1".to_owned() } else { format!("{first}:-1") },
            if last == 1 { "1".to_owned() } else { format!("1:{last}") },
        ));
    }
    // The longest month is the most that either end can be away from the other.
    let from_start = |day: i64| if day < 0 { 32 + day } else { day };
    if from_start(first) > from_start(last) {
        return Err(format!(
            "`{}` ends before it begins in every month: write the earlier day first",
            shown(text)
        ));
    }
    Ok((first, last))
}

/// Minutes since midnight: the first, and the first that is no longer part.
pub(super) fn times(start: &str, end: &str) -> Result<(u16, u16), String> {
    let (first, last) = (minute(start)?, minute(end)?);
    if start == "24:00" {
        return Err("`24:00` is the end of the day: begin at 00:00".to_owned());
    }
    if first == last {
        return Err(format!("`{start}` to `{end}` is no time at all: write a later `end_time`"));
    }
    if first > last {
        let after =
            if last == 0 { String::new() } else { format!(", and one from 00:00 to {end}") };
        return Err(format!(
            "`{start}` is later than `{end}`: past midnight write one from {start} to 24:00{after}"
        ));
    }
    Ok((first, last))
}

fn minute(text: &str) -> Result<u16, String> {
    let read = || {
        let [a, b, b':', c, d] = *text.as_bytes() else { return None };
        let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
        let (hour, minute) = (digit(a)? * 10 + digit(b)?, digit(c)? * 10 + digit(d)?);
        let fits = hour < 24 && minute < 60 || hour == 24 && minute == 0;
        fits.then_some(hour * 60 + minute)
    };
    read().ok_or_else(|| {
        format!(
            "`{}` is not a time of day: write HH:MM, 00:00 to 23:59, or 24:00 for the end of the day",
            shown(text)
        )
    })
}

/// Both ends of `first:last`, or of a value that is its own range.
fn ends(text: &str, read: impl Fn(&str) -> Result<i64, String>) -> Result<Range, String> {
    let lower = text.to_ascii_lowercase();
    let mut parts = lower.split(':');
    let (first, last, more) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if more.is_some() {
        return Err(format!("`{}` is not a range: write `first:last`", shown(text)));
    }
    if first.trim() != first || last.is_some_and(|last| last.trim() != last) {
        return Err(format!("`{}` has spaces in it: remove them", shown(text)));
    }
    let begin = read(first)?;
    Ok((begin, last.map_or(Ok(begin), read)?))
}

/// What may be meant by a misspelt or shortened name.
fn named(word: &str, names: &[&str]) -> Option<String> {
    let word = shown(word);
    let starts = |name: &&&str| word.len() >= 3 && name.starts_with(&*word);
    let near = names.iter().find(starts).copied();
    let near = near.or_else(|| nearest(&word, names.iter().copied()).filter(|_| word.len() >= 3));
    near.map(|near| format!("did you mean `{near}`?"))
}

fn span(first: &str, last: &str) -> String {
    if first == last { first.to_owned() } else { format!("{first}:{last}") }
}

fn name_of<'a>(names: &[&'a str], number: i64) -> &'a str {
    usize::try_from(number).ok().and_then(|i| names.get(i)).copied().unwrap_or_default()
}

fn index(position: usize) -> i64 {
    i64::try_from(position).unwrap_or_default()
}

/// As much of a text of the user's as a message can hold.
pub(super) fn shown(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(SHOWN_CHARS) {
        None => Cow::Borrowed(text),
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
    }
}
