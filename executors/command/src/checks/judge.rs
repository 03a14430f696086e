//! What the results of a health check mean.

use std::time::Duration;

/// What is to be done about a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing anybody needs to know.
    Quiet,
    /// Tell the scheduler how the task is.
    Tell {
        /// Whether it is well.
        healthy: bool,
        /// Whether it has been unwell for too long.
        kill: bool,
    },
}

/// Remembers the results of one health check.
///
/// Failures before the first success do not count while the grace period lasts. Success is told when it is the first
/// one or follows a failure; every failure that counts is told.
#[derive(Clone, Debug)]
pub struct HealthJudge {
    grace_period: Duration,
    failures_max: u32,
    failures: u32,
    succeeded: bool,
    told_healthy: bool,
}

impl HealthJudge {
    /// A judge without any result yet.
    #[must_use]
    pub fn new(grace_period: Duration, failures_max: u32) -> Self {
        Self {
            grace_period,
            failures_max,
            failures: 0,
            succeeded: false,
            told_healthy: false,
        }
    }

    /// Judges a result, `age` after the task's start.
    pub fn judge(&mut self, age: Duration, healthy: bool) -> Verdict {
        if healthy {
            self.failures = 0;
            self.succeeded = true;
            return if std::mem::replace(&mut self.told_healthy, true) {
                Verdict::Quiet
            } else {
                Verdict::Tell {
                    healthy: true,
                    kill: false,
                }
            };
        }
        if !self.succeeded && age <= self.grace_period {
            return Verdict::Quiet;
        }
        self.failures += 1;
        self.told_healthy = false;
        Verdict::Tell {
            healthy: false,
            kill: self.failures >= self.failures_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WELL: Verdict = Verdict::Tell {
        healthy: true,
        kill: false,
    };
    const UNWELL: Verdict = Verdict::Tell {
        healthy: false,
        kill: false,
    };
    const HOPELESS: Verdict = Verdict::Tell {
        healthy: false,
        kill: true,
    };

    #[test]
    fn changes_and_every_failure_are_told() {
        let mut judge = HealthJudge::new(Duration::from_secs(10), 3);
        let results = [
            (5, false, Verdict::Quiet),
            (6, true, WELL),
            (7, true, Verdict::Quiet),
            (8, false, UNWELL),
            (9, false, UNWELL),
            (20, true, WELL),
            (21, false, UNWELL),
            (22, false, UNWELL),
            (23, false, HOPELESS),
        ];
        for (age, healthy, verdict) in results {
            assert_eq!(judge.judge(Duration::from_secs(age), healthy), verdict, "at {age}");
        }
    }

    #[test]
    fn the_grace_period_ends() {
        let mut judge = HealthJudge::new(Duration::from_secs(10), 1);
        assert_eq!(judge.judge(Duration::from_secs(10), false), Verdict::Quiet);
        assert_eq!(judge.judge(Duration::from_secs(11), false), HOPELESS);
    }
}
