//! What a checkpoint says of itself: its step, its metrics, and whether it is the best so far.

use serde_json::Value;
use std::collections::BTreeMap;

/// Files in a checkpoint's folder that tell of it, the most trusted first. Those after the first have metrics alone.
pub const STATE_FILES: [&str; 4] =
    ["trainer_state.json", "metrics.json", "all_results.json", "eval_results.json"];

/// Facts of a name that nobody asks for: how long something took, and what other facts are.
fn is_noise(name: &str) -> bool {
    matches!(name, "step" | "epoch" | "total_flos" | "global_step")
        || ["_runtime", "_per_second", "_memory", "_flos"].iter().any(|ending| name.ends_with(ending))
}

/// What is known of a checkpoint.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// Its step.
    pub step: Option<u64>,
    /// Facts by their names, `step` and `epoch` among them, as a commit records them.
    pub values: BTreeMap<String, String>,
    /// Whether its program calls it the best.
    pub is_best: bool,
}

impl Facts {
    /// What the name of a checkpoint's folder, or of the one file that it is, tells.
    pub fn of_name(name: &str) -> Self {
        let mut facts = Self::default();
        facts.set_step(step_of_name(name));
        facts
    }

    /// Adds what one of [`STATE_FILES`] says. `name` is what the checkpoint's folder is called. A text that is something
    /// else says nothing.
    pub fn add(&mut self, file: &str, text: &[u8], name: &str) {
        let Ok(Value::Object(fields)) = serde_json::from_slice(text) else { return };
        if file != STATE_FILES[0] {
            self.add_metrics(fields.iter().filter(|(name, _)| !is_noise(name)));
            return;
        }
        self.set_step(fields.get("global_step").and_then(Value::as_u64).or(self.step));
        if let Some(epoch) = fields.get("epoch").and_then(number) {
            self.values.insert("epoch".into(), epoch);
        }
        let lines = fields.get("log_history").and_then(Value::as_array).into_iter().flatten();
        // Later lines tell what holds now.
        for line in lines.filter_map(Value::as_object) {
            self.add_metrics(line.iter().filter(|(name, _)| !is_noise(name)));
        }
        let best = fields.get("best_model_checkpoint").and_then(Value::as_str);
        let last = best.and_then(|path| path.trim_end_matches('/').rsplit('/').next());
        self.is_best = last == Some(name) && !name.is_empty();
    }

    /// In words: `step 20, loss 2.31`.
    pub fn words(&self) -> String {
        let step = self.step.map(|step| format!("step {step}"));
        let metrics = self.values.iter().filter(|(name, _)| name.contains("loss") || name.contains("acc"));
        let metrics = metrics.map(|(name, value)| format!("{name} {value}"));
        step.into_iter().chain(metrics).collect::<Vec<_>>().join(", ")
    }

    fn set_step(&mut self, step: Option<u64>) {
        self.step = step;
        self.values.extend(step.map(|step| ("step".to_owned(), step.to_string())));
    }

    fn add_metrics<'a>(&mut self, fields: impl Iterator<Item = (&'a String, &'a Value)>) {
        let is_name = |name: &str| !name.is_empty() && !name.contains(['=', '\n', '\r', '\0']);
        let told = fields.filter(|(name, _)| is_name(name));
        self.values.extend(told.filter_map(|(name, value)| Some((name.clone(), number(value)?))));
    }
}

fn number(value: &Value) -> Option<String> {
    value.is_number().then(|| value.to_string())
}

/// The step in the name of a checkpoint: `checkpoint-20`, `step_20`, `global_step20`, `epoch=1-step=20.ckpt`, `20`.
pub fn step_of_name(name: &str) -> Option<u64> {
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let after = text[digits..].chars().next();
        let ends = after.is_none_or(|c| !c.is_ascii_alphanumeric());
        ends.then(|| text[..digits].parse().ok()).flatten()
    };
    if let Some(step) = number(name).filter(|_| name.bytes().all(|b| b.is_ascii_digit())) {
        return Some(step);
    }
    ["step=", "step_", "step-", "step", "checkpoint-", "checkpoint_", "iter_"]
        .iter()
        .find_map(|word| name.rmatch_indices(word).find_map(|(at, _)| number(&name[at + word.len()..])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_read_from_the_names_that_programs_give() {
        for (name, step) in [
            ("checkpoint-20", Some(20)),
            ("global_step300", Some(300)),
            ("step_7", Some(7)),
            ("epoch=1-step=40.ckpt", Some(40)),
            ("1000", Some(1000)),
            ("main", None),
            ("step-by-step", None),
            ("v2", None),
            ("checkpoint-99999999999999999999999", None),
        ] {
            assert_eq!(step_of_name(name), step, "{name}");
        }
    }

    #[test]
    fn the_state_of_a_trainer_tells_step_metrics_and_whether_it_is_the_best() {
        let state = br#"{"global_step": 20, "epoch": 0.5, "best_model_checkpoint": "/mnt/x/checkpoint-20/", "log_history": [
            {"step": 10, "loss": 3.5, "learning_rate": 1e-4, "epoch": 0.2},
            {"step": 20, "loss": 2.31, "eval_loss": 2.5, "eval_runtime": 3, "note": "text", "bad=name": 1}]}"#;
        let mut facts = Facts::of_name("checkpoint-20");
        facts.add("trainer_state.json", state, "checkpoint-20");
        facts.add("metrics.json", br#"{"accuracy": 0.75, "train_samples_per_second": 3}"#, "checkpoint-20");
        let shown: Vec<_> = facts.values.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            ["accuracy=0.75", "epoch=0.5", "eval_loss=2.5", "learning_rate=0.0001", "loss=2.31", "step=20"]
        );
        assert_eq!(facts.words(), "step 20, accuracy 0.75, eval_loss 2.5, loss 2.31");
        assert!(facts.is_best);
    }

    #[test]
    fn what_is_no_state_says_nothing() {
        for text in [&b""[..], b"{", b"[]", b"{\"global_step\": \"x\", \"log_history\": 3}", b"\xff"] {
            let mut facts = Facts::of_name("checkpoint-20");
            facts.add("trainer_state.json", text, "checkpoint-20");
            assert_eq!(facts, Facts::of_name("checkpoint-20"));
        }
    }
}
