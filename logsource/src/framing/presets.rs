//! Stack traces, panics and tracebacks, as the languages write them.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::grouping::{State, Verdict};

/// Which languages' traces are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Presets(u8);

/// Where in a trace a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trace {
    /// After the exception, or after a frame.
    Java,
    /// Within a traceback: what is indented belongs to it, and the line after that.
    Python,
    /// After the exception that a traceback ends with.
    PythonEnd,
    /// Another traceback is announced.
    PythonLink,
    /// After the panic's own lines.
    Go,
    /// Within a goroutine's frames.
    GoFrames,
    /// The message is next.
    RustMessage,
    /// After the message.
    Rust,
    /// Within the backtrace.
    RustFrames,
}

impl Presets {
    pub(super) const NONE: Self = Self(0);
    pub(super) const JAVA: Self = Self(1);
    pub(super) const PYTHON: Self = Self(2);
    pub(super) const GO: Self = Self(4);
    pub(super) const RUST: Self = Self(8);
    pub(super) const ALL: Self = Self(15);

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }

    fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// A line that is not blank. What neither goes on with a trace nor begins one stands alone, so
    /// that it does not wait.
    pub(super) fn judge(self, group: Option<State>, line: &[u8]) -> Verdict {
        if let Some(State::Trace(trace)) = group
            && let Some(next) = trace.next(line)
        {
            return Verdict { joins: true, state: Some(State::Trace(next)) };
        }
        Verdict { joins: false, state: self.begin(line).map(State::Trace) }
    }

    fn begin(self, line: &[u8]) -> Option<Trace> {
        if self.has(Self::PYTHON) && is_traceback(line) {
            return Some(Trace::Python);
        }
        if self.has(Self::RUST) && line.starts_with(b"thread '") && contains(line, b" panicked at ")
        {
            let is_newer = line.ends_with(b":");
            return Some(if is_newer { Trace::RustMessage } else { Trace::Rust });
        }
        if self.has(Self::GO) {
            if line.starts_with(b"goroutine ") && line.ends_with(b"]:") {
                return Some(Trace::GoFrames);
            }
            let is_panic = line.starts_with(b"panic: ")
                || line.starts_with(b"fatal error: ")
                || contains(line, b"http: panic serving ");
            if is_panic {
                return Some(Trace::Go);
            }
        }
        let is_java = self.has(Self::JAVA) && (is_frame(line) || JAVA_EXCEPTION.is_match(line));
        is_java.then_some(Trace::Java)
    }
}

/// `java.lang.IllegalStateException: …`, also at the end of a line, or with words before it.
static JAVA_EXCEPTION: LazyLock<Pattern> = LazyLock::new(|| {
    Pattern::new(
        r"(?-u)(?:^|[\s(:])(?:[A-Za-z_$][\w$]*\.)+(?:[A-Z][\w$]*)?(?:Exception|Error|Throwable)(?::|\s*$)",
    )
});

/// `main.main()`, `created by …`, and what else stands between a goroutine's frames.
static GO_FRAME: LazyLock<Pattern> = LazyLock::new(|| {
    Pattern::new(
        r"(?-u)^(?:[\w./*%\-]+[.\w*()%\-\[\]]*\(.*\)$|created by |\.\.\.|runtime stack:|exit status \d|[a-z]{1,6}\d{0,2}\s+0x)",
    )
});

/// `   0: std::panicking::begin_panic`.
static RUST_FRAME: LazyLock<Pattern> =
    LazyLock::new(|| Pattern::new(r"(?-u)^\s+\d+: |^\s+at |^\s+\[\.\.\. omitted "));

/// A pattern of ours; one that were broken would match nothing.
struct Pattern(Option<Regex>);

impl Pattern {
    fn new(pattern: &str) -> Self {
        Self(Regex::new(pattern).ok())
    }

    fn is_match(&self, line: &[u8]) -> bool {
        self.0.as_ref().is_some_and(|regex| regex.is_match(line))
    }
}

impl Trace {
    /// Where in the trace this line is, if it belongs to it.
    fn next(self, line: &[u8]) -> Option<Self> {
        let is_indented = line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        match self {
            Self::Java => {
                let trimmed = line.trim_ascii_start();
                let goes_on = is_frame(line)
                    || (is_indented
                        && (trimmed.starts_with(b"... ")
                            || trimmed.starts_with(b"Suppressed: ")
                            || trimmed.starts_with(b"Caused by: ")
                            || trimmed.starts_with(b"- locked ")
                            || trimmed.starts_with(b"[CIRCULAR REFERENCE")))
                    || line.starts_with(b"Caused by: ")
                    || line.starts_with(b"Wrapped by: ")
                    || line.starts_with(b"nested exception is:");
                goes_on.then_some(Self::Java)
            }
            Self::Python if is_indented => Some(Self::Python),
            Self::Python => Some(Self::PythonEnd),
            Self::PythonEnd if is_indented => Some(Self::PythonEnd),
            Self::PythonEnd => {
                let is_link = line.starts_with(b"During handling of the above exception, ")
                    || line.starts_with(b"The above exception was the direct cause ");
                is_link.then_some(Self::PythonLink)
            }
            Self::PythonLink => is_traceback(line).then_some(Self::Python),
            Self::Go => {
                if line.starts_with(b"goroutine ") || line.starts_with(b"runtime stack:") {
                    return Some(Self::GoFrames);
                }
                let goes_on = is_indented
                    || line.starts_with(b"panic: ")
                    || line.starts_with(b"[signal ")
                    || line.starts_with(b"exit status ")
                    || line.starts_with(b"runtime: ");
                goes_on.then_some(Self::Go)
            }
            Self::GoFrames => {
                let goes_on = is_indented
                    || (line.starts_with(b"goroutine ") && line.ends_with(b"]:"))
                    || GO_FRAME.is_match(line);
                goes_on.then_some(Self::GoFrames)
            }
            Self::RustMessage => Some(Self::Rust),
            Self::Rust if line == b"stack backtrace:" => Some(Self::RustFrames),
            Self::Rust => (is_indented || line.starts_with(b"note: ")).then_some(Self::Rust),
            Self::RustFrames => {
                let goes_on = RUST_FRAME.is_match(line) || line.starts_with(b"note: ");
                goes_on.then_some(Self::RustFrames)
            }
        }
    }
}

/// Indented, `at org.example.Main.main(Main.java:10)`.
fn is_frame(line: &[u8]) -> bool {
    let trimmed = line.trim_ascii_start();
    trimmed.len() < line.len()
        && trimmed.starts_with(b"at ")
        && (trimmed.ends_with(b")") || contains(trimmed, b") ~[") || contains(trimmed, b") ["))
}

fn is_traceback(line: &[u8]) -> bool {
    line.trim_ascii_end().ends_with(b"Traceback (most recent call last):")
}

fn contains(line: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(line, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::super::Multiline;
    use super::super::is_blank;

    /// The first line of each group, and how many lines that are not blank it has.
    fn groups<'a>(multiline: &Multiline, text: &'a str) -> Vec<(&'a str, usize)> {
        let (mut groups, mut state) = (Vec::<(&str, usize)>::new(), None);
        for line in text.lines().filter(|line| !is_blank(line.as_bytes())) {
            let verdict = multiline.judge(state, line.as_bytes()).unwrap();
            match groups.last_mut() {
                Some(last) if verdict.joins => last.1 += 1,
                _ => groups.push((line, 1)),
            }
            state = verdict.state;
        }
        groups
    }

    fn check(own: &Multiline, text: &str, expected: &[(&str, usize)]) {
        assert_eq!(groups(own, text), expected);
        assert_eq!(groups(&Multiline::traces(), text), expected);
    }

    #[test]
    fn java() {
        let text = "\
2026-11-23 08:00:00 INFO  c.e.Main - starting
2026-11-23 08:00:01 ERROR c.e.Api - request failed
java.lang.IllegalStateException: cannot reach db
\tat com.example.Api.call(Api.java:42) ~[app.jar:1.0]
\tat java.base/java.lang.Thread.run(Thread.java:1583)
\tSuppressed: java.io.IOException: close failed
\t\tat com.example.Pool.close(Pool.java:9)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.connect0(Native Method)
\t... 17 common frames omitted
2026-11-23 08:00:02 INFO  c.e.Main - going on
Exception in thread \"main\" java.lang.NoClassDefFoundError: a/B
    at a.Main.main(Main.java:3)
2026-11-23 08:00:03 INFO  c.e.Main - Error handling is on
";
        check(
            &Multiline::java(),
            text,
            &[
                ("2026-11-23 08:00:00 INFO  c.e.Main - starting", 1),
                ("2026-11-23 08:00:01 ERROR c.e.Api - request failed", 1),
                ("java.lang.IllegalStateException: cannot reach db", 8),
                ("2026-11-23 08:00:02 INFO  c.e.Main - going on", 1),
                ("Exception in thread \"main\" java.lang.NoClassDefFoundError: a/B", 2),
                ("2026-11-23 08:00:03 INFO  c.e.Main - Error handling is on", 1),
            ],
        );
    }

    #[test]
    fn python() {
        let text = "\
ERROR:root:request failed
Traceback (most recent call last):
  File \"/app/db.py\", line 12, in get
    return rows[key]
           ~~~~^^^^^
KeyError: 'id'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/app/api.py\", line 40, in call
    db.get(key)
  [Previous line repeated 995 more times]
app.errors.NotFound: id
INFO:root:going on
  + Exception Group Traceback (most recent call last):
  |   File \"x.py\", line 2, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------
";
        let group = "  + Exception Group Traceback (most recent call last):";
        check(
            &Multiline::python(),
            text,
            &[
                ("ERROR:root:request failed", 1),
                ("Traceback (most recent call last):", 11),
                ("INFO:root:going on", 1),
                (group, 6),
            ],
        );
    }

    #[test]
    fn go() {
        let text = "\
2026/11/23 08:00:00 listening on :8080
panic: runtime error: invalid memory address or nil pointer dereference [recovered]
\tpanic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x8 pc=0x4a1b2c]

goroutine 18 [running]:
main.(*Server).handle(0xc0000b4000, {0x5f2a60, 0xc0000a6018})
\t/app/main.go:42 +0x1d
github.com/foo/bar%2ebaz.Do[...](0x0)
\t/go/pkg/mod/github.com/foo/bar.baz/do.go:10 +0x25
main.main.func1()
\t/app/main.go:17 +0x33
created by main.main in goroutine 1
\t/app/main.go:15 +0x66

goroutine 1 [chan receive, 2 minutes]:
main.main()
\t/app/main.go:20 +0x99
exit status 2
2026/11/23 08:00:01 listening on :8080
2026/11/23 08:00:02 http: panic serving 10.0.0.7:51234: boom
goroutine 35 [running]:
net/http.(*conn).serve.func1()
\t/usr/local/go/src/net/http/server.go:1898 +0xbe
2026/11/23 08:00:03 going on
fatal error: all goroutines are asleep - deadlock!

goroutine 1 [select (no cases)]:
main.main()
\t/app/main.go:4 +0xf
";
        let nil =
            "panic: runtime error: invalid memory address or nil pointer dereference [recovered]";
        check(
            &Multiline::go(),
            text,
            &[
                ("2026/11/23 08:00:00 listening on :8080", 1),
                (nil, 16),
                ("2026/11/23 08:00:01 listening on :8080", 1),
                ("2026/11/23 08:00:02 http: panic serving 10.0.0.7:51234: boom", 4),
                ("2026/11/23 08:00:03 going on", 1),
                ("fatal error: all goroutines are asleep - deadlock!", 4),
            ],
        );
    }

    #[test]
    fn rust() {
        let text = "\
2026-11-23T08:00:00Z  INFO serving
thread 'tokio-runtime-worker' (2423) panicked at src/main.rs:12:9:
assertion `left == right` failed
  left: 1
 right: 2
stack backtrace:
   0: rust_begin_unwind
             at /rustc/59807616e/library/std/src/panicking.rs:697:5
   1: core::panicking::panic_fmt
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
2026-11-23T08:00:01Z  INFO going on
thread 'main' panicked at 'boom', src/main.rs:2:5
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
2026-11-23T08:00:02Z  INFO going on
";
        let header = "thread 'tokio-runtime-worker' (2423) panicked at src/main.rs:12:9:";
        check(
            &Multiline::rust(),
            text,
            &[
                ("2026-11-23T08:00:00Z  INFO serving", 1),
                (header, 9),
                ("2026-11-23T08:00:01Z  INFO going on", 1),
                ("thread 'main' panicked at 'boom', src/main.rs:2:5", 2),
                ("2026-11-23T08:00:02Z  INFO going on", 1),
            ],
        );
    }
}
