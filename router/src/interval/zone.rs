//! Time zones by name, from the system's database. It is read while a configuration is compiled, never after.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::grammar::shown;
use crate::error::nearest;

/// The zone that a `location` names.
pub(super) fn find(name: &str) -> Result<TimeZone, String> {
    find_in(name, jiff::tz::db())
}

fn find_in(name: &str, database: &TimeZoneDatabase) -> Result<TimeZone, String> {
    let name = &*shown(name);
    // These need no database. The empty name is UTC for Alertmanager, too.
    if ["", "UTC", "Etc/UTC"].iter().any(|utc| utc.eq_ignore_ascii_case(name)) {
        return Ok(TimeZone::UTC);
    }
    if name.eq_ignore_ascii_case("local") {
        return Err("`Local` is another zone on another machine: \
                    name the one that you mean, such as `Europe/Berlin`"
            .to_owned());
    }
    if database.is_definitively_empty() {
        return Err(format!(
            "`{name}` needs the time zone database, and this system has none: install the package \
             `tzdata`, or let the environment variable TZDIR name a copy of it"
        ));
    }
    database.get(name).map_err(|_| {
        let hint = near(name, database).map_or_else(
            || "write a name of the IANA database, such as `Europe/Berlin` or `UTC`".to_owned(),
            |near| format!("did you mean `{near}`?"),
        );
        format!("there is no time zone `{name}`: {hint}")
    })
}

/// A zone of the same city, or one that is spelt nearly so. Abbreviations are all alike and are not guessed.
fn near(name: &str, database: &TimeZoneDatabase) -> Option<String> {
    let known: Vec<String> = database.available().map(|zone| zone.as_str().to_owned()).collect();
    let city = |full: &str| full.rsplit('/').next().unwrap_or_default().replace(' ', "_");
    let same = |zone: &&String| zone.contains('/') && city(zone).eq_ignore_ascii_case(&city(name));
    let by_city = known.iter().filter(same).min().map(String::as_str);
    let long_enough = name.chars().count() > 4;
    by_city
        .or_else(|| nearest(name, known.iter().map(String::as_str)).filter(|_| long_enough))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_database_there_is_utc_and_a_remedy() {
        let none = TimeZoneDatabase::none();
        for name in ["", "UTC", "utc", "Etc/UTC"] {
            assert_eq!(find_in(name, &none), Ok(TimeZone::UTC));
        }
        assert_eq!(
            find_in("Europe/Berlin", &none).unwrap_err(),
            "`Europe/Berlin` needs the time zone database, and this system has none: install the \
             package `tzdata`, or let the environment variable TZDIR name a copy of it"
        );
    }
}
