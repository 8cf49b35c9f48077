//! A program of the user's own as a target: one JSON line a question, one JSON line an answer.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use mantlet_attacks::{Loss, ScoreKind};
use mantlet_redteam::{GradientAnswer, Target, TargetError, TargetFacts};
use mantlet_vocab::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::endpoint::{malformed, unsupported};

/// The longest answer read.
const LIMIT: u64 = 16 << 20;

/// Which program, and what it is a model of.
///
/// It is started once. A question is `{"id": 7, "ask": "scores", "rows": [[...], ...]}`, rows flat, or with `text`
/// `{"id": 7, "ask": "scores", "texts": ["...", ...]}`; `ask` is `labels` or `scores`. An answer is `{"id": 7, "labels": [...]}` or `{"id": 7, "scores": [[...], ...]}`, or
/// `{"id": 7, "refused": "why", "retry_after_ms": 500}`, or `{"id": 7, "error": "why"}`. What the program writes to
/// standard error is shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProcessConfig {
    /// Program and arguments; no shell is involved.
    pub command: Vec<String>,
    /// Shape of one row.
    pub shape: Vec<usize>,
    /// Names of the classes, in the order of the training labels.
    pub classes: Vec<String>,
    /// Whether it gives scores.
    #[serde(default)]
    pub scores: bool,
    /// Whether its rows are texts; `shape` is then the most characters of one.
    #[serde(default)]
    pub text: bool,
    /// The most rows in one question.
    #[serde(default = "many")]
    pub max_rows: usize,
    /// Milliseconds to wait for an answer.
    #[serde(default = "ten_seconds")]
    pub timeout_ms: u64,
}

const fn many() -> usize {
    256
}

const fn ten_seconds() -> u64 {
    10_000
}

/// Such a program, running. It is killed when it does not answer in time, breaks the protocol, or is dropped.
pub struct ProcessTarget {
    config: ProcessConfig,
    running: Option<Running>,
    kind: Option<ScoreKind>,
    next: u64,
}

struct Running {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Result<String, String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn failed(reason: impl Into<String>) -> TargetError {
    TargetError::Failed { reason: reason.into() }
}

impl ProcessTarget {
    /// Starts the program.
    ///
    /// # Errors
    /// When it cannot be started, or the configuration names no classes or no shape.
    pub fn start(config: ProcessConfig) -> Result<Self, TargetError> {
        if config.classes.is_empty() || config.shape.iter().product::<usize>() == 0 {
            return Err(unsupported(
                "`classes` must name the classes, or the one score, and `shape` the axes of a row",
            ));
        }
        let running = Some(Running::start(&config.command)?);
        Ok(Self { config, running, kind: None, next: 0 })
    }

    fn ask(&mut self, word: &str, rows: &Tensor) -> Result<Value, TargetError> {
        self.next += 1;
        if self.running.is_none() {
            // It was killed for not answering; a fresh one gets a chance at the next question.
            self.running = Some(Running::start(&self.config.command)?);
        }
        let each = (0..rows.rows()).map(|row| rows.row(row));
        let question = if self.config.text {
            let texts: Option<Vec<String>> = each.map(mantlet_attacks::text::decode).collect();
            let texts = texts.ok_or_else(|| unsupported("a row is no text"))?;
            json!({"id": self.next, "ask": word, "texts": texts})
        } else {
            json!({"id": self.next, "ask": word, "rows": each.collect::<Vec<&[f32]>>()})
        };
        let result = match &mut self.running {
            Some(running) => running.ask(&question, self.next, Duration::from_millis(self.config.timeout_ms)),
            None => Err(failed("the program is not running")),
        };
        let answer = result.inspect_err(|_| self.running = None)?;
        if let Some(why) = answer.get("refused") {
            return Err(TargetError::Refused {
                status: 0,
                reason: plain(why),
                retry_after_ms: answer.get("retry_after_ms").and_then(Value::as_u64),
            });
        }
        if let Some(why) = answer.get("error") {
            return Err(failed(plain(why)));
        }
        Ok(answer)
    }

    fn class(&self, value: &Value) -> Result<usize, TargetError> {
        let by_name =
            value.as_str().and_then(|name| self.config.classes.iter().position(|class| class == name));
        let by_index = value.as_u64().and_then(|index| usize::try_from(index).ok());
        by_name
            .or(by_index)
            .filter(|index| *index < self.config.classes.len())
            .ok_or_else(|| malformed(format!("`{}` is none of the classes", plain(value))))
    }
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    text.chars().filter(|letter| !letter.is_control()).take(200).collect()
}

impl Running {
    fn start(command: &[String]) -> Result<Self, TargetError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(unsupported("`command` names no program"));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| unsupported(format!("`{program}` cannot be started: {error}")))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failed("the program has no input or output"));
        };
        // One line ahead at most: a program that floods is held back by its pipe.
        let (sender, lines) = sync_channel(1);
        std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            loop {
                let mut line = Vec::new();
                let read = reader.by_ref().take(LIMIT).read_until(b'\n', &mut line);
                let message = match read {
                    Ok(0) => Err("the program has ended".to_owned()),
                    Ok(_) if !line.ends_with(b"\n") => Err("a line does not end, or is too long".to_owned()),
                    Ok(_) => String::from_utf8(line).map_err(|_| "a line is no text".to_owned()),
                    Err(error) => Err(error.to_string()),
                };
                let over = message.is_err();
                if sender.send(message).is_err() || over {
                    break;
                }
            }
        });
        Ok(Self { child, input, lines })
    }

    fn ask(&mut self, question: &Value, id: u64, patience: Duration) -> Result<Value, TargetError> {
        let mut line = question.to_string();
        line.push('\n');
        self.input
            .write_all(line.as_bytes())
            .and_then(|()| self.input.flush())
            .map_err(|error| failed(format!("the program does not listen: {error}")))?;
        let answer = match self.lines.recv_timeout(patience) {
            Ok(Ok(answer)) => answer,
            Ok(Err(why)) => return Err(failed(why)),
            Err(RecvTimeoutError::Timeout) => {
                return Err(failed(format!("no answer within {} ms", patience.as_millis())));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(failed("the program has ended")),
        };
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| malformed(format!("a line is no JSON: {error}")))?;
        if answer.get("id").and_then(Value::as_u64) != Some(id) {
            return Err(malformed(format!("the answer to question {id} has another id")));
        }
        Ok(answer)
    }
}

impl Target for ProcessTarget {
    fn describe(&self) -> TargetFacts {
        TargetFacts {
            name: format!("program {}", self.config.command.first().map_or("", String::as_str)),
            input_shape: self.config.shape.clone(),
            classes: Some(self.config.classes.len()),
            score_kind: self.kind,
            scores: self.config.scores,
            no_gradient: Some("a program gives no gradients".to_owned()),
            max_rows: self.config.max_rows.max(1),
        }
    }

    fn labels(&mut self, rows: &Tensor) -> Result<Vec<usize>, TargetError> {
        let answer = self.ask("labels", rows)?;
        let labels = answer.get("labels").and_then(Value::as_array);
        let labels = labels.ok_or_else(|| malformed("the answer has no `labels`"))?;
        if labels.len() != rows.rows() {
            return Err(malformed(format!("{} rows asked, {} answered", rows.rows(), labels.len())));
        }
        labels.iter().map(|label| self.class(label)).collect()
    }

    fn scores(&mut self, rows: &Tensor) -> Result<Tensor, TargetError> {
        if !self.config.scores {
            return Err(unsupported("the program gives labels only"));
        }
        let answer = self.ask("scores", rows)?;
        let scores: Vec<Vec<f32>> = answer
            .get("scores")
            .and_then(|scores| serde_json::from_value(scores.clone()).ok())
            .ok_or_else(|| malformed("the answer has no `scores`, or one is no number"))?;
        let classes = self.config.classes.len();
        if scores.len() != rows.rows() || scores.iter().any(|row| row.len() != classes) {
            return Err(malformed(format!("{} rows of {classes} scores were due", rows.rows())));
        }
        let scores = Tensor::new([rows.rows(), classes], scores.concat())
            .map_err(|error| malformed(error.to_string()))?;
        if self.kind != Some(ScoreKind::Logits) {
            self.kind = Some(ScoreKind::recognise(&scores));
        }
        Ok(scores)
    }

    fn gradient(&mut self, _: &Tensor, _: &Loss) -> Result<GradientAnswer, TargetError> {
        Err(unsupported("a program gives no gradients"))
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ProcessTarget {
        ProcessTarget::start(ProcessConfig {
            command: ["sh", "-c", script].map(str::to_owned).to_vec(),
            shape: vec![2],
            classes: vec!["no".to_owned(), "yes".to_owned()],
            scores: true,
            text: false,
            max_rows: 4,
            timeout_ms: 5_000,
        })
        .unwrap()
    }

    /// Answers its n-th question with the n-th of these lines.
    fn saying(lines: &[&str]) -> ProcessTarget {
        let script: String = lines.iter().map(|line| format!("read question; echo '{line}'; ")).collect();
        shell(&script)
    }

    fn rows() -> Tensor {
        Tensor::new([2, 2], vec![0.0, 0.25, 0.5, 1.0]).unwrap()
    }

    #[test]
    fn labels_by_name_or_index_and_scores_are_taken() {
        let mut target = saying(&[
            r#"{"id": 1, "labels": ["yes", 0]}"#,
            r#"{"id": 2, "scores": [[0.5, 0.5], [0.25, 0.75]]}"#,
            r#"{"id": 3, "refused": "slow down", "retry_after_ms": 40}"#,
        ]);
        assert_eq!(target.labels(&rows()).unwrap(), [1, 0]);
        assert_eq!(target.scores(&rows()).unwrap().data(), [0.5, 0.5, 0.25, 0.75]);
        assert_eq!(target.describe().score_kind, Some(ScoreKind::Probabilities));
        let refused = target.labels(&rows()).unwrap_err();
        assert!(matches!(refused, TargetError::Refused { retry_after_ms: Some(40), .. }), "{refused:?}");
    }

    #[test]
    fn the_question_is_one_line_of_json() {
        let mut target = shell(
            r#"read question; test "$question" = '{"ask":"labels","id":1,"rows":[[0.0,0.25],[0.5,1.0]]}' && echo '{"id": 1, "labels": [1, 1]}'"#,
        );
        assert_eq!(target.labels(&rows()).unwrap(), [1, 1]);
    }

    #[test]
    fn texts_are_asked_as_texts() {
        let script = r#"read question; test "$question" = '{"ask":"labels","id":1,"texts":["hé","b"]}' && echo '{"id": 1, "labels": [1, 0]}'"#;
        let mut target = shell(script);
        target.config.text = true;
        let row = |text: &str| mantlet_attacks::text::encode(text, 2).unwrap();
        let rows = Tensor::new([2, 2], [row("hé"), row("b")].concat()).unwrap();
        assert_eq!(target.labels(&rows).unwrap(), [1, 0]);
        assert!(matches!(target.labels(&Tensor::full([1, 2], 0.5)), Err(TargetError::Unsupported { .. })));
    }

    #[test]
    fn broken_programs_fail_and_are_started_anew() {
        for line in [
            r#"{"id": 9, "labels": [0, 0]}"#,
            r#"{"id": 1, "labels": [0]}"#,
            r#"{"id": 1, "labels": [0, 7]}"#,
            "nonsense",
            r#"{"id": 1}"#,
        ] {
            let error = saying(&[line]).labels(&rows()).unwrap_err();
            assert!(matches!(error, TargetError::Malformed { .. }), "{line}: {error:?}");
        }
        assert!(matches!(shell("exit 3").labels(&rows()), Err(TargetError::Failed { .. })));
        let mut ends = saying(&[r#"{"id": 1, "labels": [0, 0]}"#]);
        assert!(ends.labels(&rows()).is_ok());
        // It has ended; the question that finds out fails, and the next one meets a fresh process.
        assert!(ends.labels(&rows()).is_err());
        let error = ends.labels(&rows()).unwrap_err();
        assert!(matches!(error, TargetError::Malformed { .. }), "{error:?}");
        let mut silent = shell("cat > /dev/null");
        silent.config.timeout_ms = 50;
        assert!(matches!(silent.labels(&rows()), Err(TargetError::Failed { .. })));
        let missing =
            ProcessConfig { command: vec!["no-such-program-here".to_owned()], ..silent.config.clone() };
        assert!(matches!(ProcessTarget::start(missing), Err(TargetError::Unsupported { .. })));
    }
}
