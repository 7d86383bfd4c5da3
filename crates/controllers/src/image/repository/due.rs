//! When an ImageRepository is scanned, and why. Pure.
//!
//! Behaviour: image-reflector-controller v1.2 `shouldScan` of `internal/controller/imagerepository_controller.go`.

use std::time::Duration;

use borax_api::image::{ImageRepositorySpec, ImageRepositoryStatus};
use jiff::Timestamp;

/// Why it is time for a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It was never scanned.
    Never,
    /// Someone asked for it.
    Requested,
    /// The image is another.
    NewImage,
    /// Other tags are left out.
    NewExclusions,
    /// The database has no tags: it was lost, or there are none.
    EmptyDatabase,
    /// The interval has passed.
    Interval,
}

/// What an ImageRepository is due for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// A scan.
    Now(Reason),
    /// Nothing for this long.
    In(Duration),
}

impl Reason {
    /// Flux's words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Never => "first scan",
            Self::Requested => "reconcile requested",
            Self::NewImage => "new image name",
            Self::NewExclusions => "updated exclusion list",
            Self::EmptyDatabase => "no tags in database",
            Self::Interval => "triggered by interval",
        }
    }
}

/// What an ImageRepository is due for at `now`. `canonical` is its image's full name, `is_requested` whether there is a
/// reconcile request that was not handled, and `has_tags` whether the database has tags of it.
pub fn due(
    spec: &ImageRepositorySpec,
    status: &ImageRepositoryStatus,
    canonical: &str,
    is_requested: bool,
    has_tags: bool,
    now: Timestamp,
) -> Due {
    let Some(last) = &status.last_scan_result else { return Due::Now(Reason::Never) };
    if is_requested {
        return Due::Now(Reason::Requested);
    }
    if canonical != status.canonical_image_name {
        return Due::Now(Reason::NewImage);
    }
    let mut wanted = spec.exclusion_list();
    let mut observed: Vec<&str> =
        status.observed_exclusion_list.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    observed.sort_unstable();
    if wanted != observed {
        return Due::Now(Reason::NewExclusions);
    }
    // An image that has no tags is scanned at its interval like any other; Flux scans it at every look.
    if !has_tags && last.tag_count > 0 {
        return Due::Now(Reason::EmptyDatabase);
    }
    let interval: Duration = spec.interval.into();
    let Some(scanned) = last.scan_time else { return Due::Now(Reason::Interval) };
    let passed = Duration::try_from(now.duration_since(scanned.0)).unwrap_or_default();
    match interval.checked_sub(passed) {
        Some(left) if left >= Duration::from_secs(1) => Due::In(left),
        _ => Due::Now(Reason::Interval),
    }
}

#[cfg(test)]
mod tests {
    use borax_api::image::ScanResult;

    use super::*;

    #[test]
    fn a_table_of_reasons() {
        let at = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).unwrap();
        let spec = ImageRepositorySpec {
            interval: Duration::from_secs(60).into(),
            ..ImageRepositorySpec::default()
        };
        let status = ImageRepositoryStatus {
            canonical_image_name: "r/a".into(),
            observed_exclusion_list: vec![r"^.*\.sig$".into()],
            last_scan_result: Some(ScanResult {
                tag_count: 3,
                scan_time: Some(at(0).into()),
                ..ScanResult::default()
            }),
            ..ImageRepositoryStatus::default()
        };
        let mut other = spec.clone();
        other.exclusion_list = vec!["^dev".into()];
        let mut empty = status.clone();
        empty.last_scan_result.as_mut().unwrap().tag_count = 0;
        let never = ImageRepositoryStatus::default();
        for (spec, status, canonical, requested, has_tags, now, want) in [
            (&spec, &never, "r/a", false, false, 0, Due::Now(Reason::Never)),
            (&spec, &status, "r/a", true, true, 1, Due::Now(Reason::Requested)),
            (&spec, &status, "r/b", false, true, 1, Due::Now(Reason::NewImage)),
            (&other, &status, "r/a", false, true, 1, Due::Now(Reason::NewExclusions)),
            (&spec, &status, "r/a", false, false, 1, Due::Now(Reason::EmptyDatabase)),
            (&spec, &empty, "r/a", false, false, 1, Due::In(Duration::from_secs(59))),
            (&spec, &status, "r/a", false, true, 1, Due::In(Duration::from_secs(59))),
            (&spec, &status, "r/a", false, true, 60, Due::Now(Reason::Interval)),
            (&spec, &status, "r/a", false, true, 600, Due::Now(Reason::Interval)),
            // A clock that was set back.
            (&spec, &status, "r/a", false, true, -600, Due::In(Duration::from_secs(60))),
        ] {
            assert_eq!(due(spec, status, canonical, requested, has_tags, at(now)), want);
        }
    }
}
