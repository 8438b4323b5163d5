//! How many logins usually fail per minute.

/// What a minute's number weighs less a minute later: the last hour counts most.
const FADING: f64 = 59.0 / 60.0;
/// After so many minutes nothing is left.
const FORGOTTEN: i64 = 10_000;

/// The failures per minute that were usual before `this_minute`, for a counter that stood at `failures` in `minute`
/// and at `usual` before it.
#[must_use]
pub fn usual_rate(minute: i64, failures: i32, usual: f32, this_minute: i64) -> f32 {
    if minute >= this_minute {
        return usual;
    }
    let idle = this_minute.saturating_sub(minute).saturating_sub(1).min(FORGOTTEN);
    let then = f64::from(usual) * FADING + f64::from(failures) * (1.0 - FADING);
    (then * FADING.powi(i32::try_from(idle).unwrap_or(i32::MAX))) as f32
}
