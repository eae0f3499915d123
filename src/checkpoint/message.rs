//! What the commit of a checkpoint says: a template with the facts in it.

use super::facts::Facts;

/// The text of a template: `{checkpoint}` is what the checkpoint is called, `{facts}` its step and losses in words, `{NAME}`
/// one fact. What is not known leaves nothing behind, also not the blanks, commas and colons around it at the ends.
pub fn message(template: &str, checkpoint: &str, facts: &Facts) -> String {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        match name {
            "checkpoint" => text.push_str(checkpoint),
            "facts" => text.push_str(&facts.words()),
            name => text.push_str(facts.values.get(name).map(String::as_str).unwrap_or_default()),
        }
        rest = after;
    }
    text.push_str(rest);
    let text = text.trim_matches(|c: char| c.is_whitespace() || matches!(c, ':' | ','));
    if text.is_empty() { "checkpoint".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_with_what_is_known() {
        let mut facts = Facts::of_name("checkpoint-20");
        facts.values.insert("loss".into(), "2.31".into());
        let said = |template| message(template, "run/checkpoint-20", &facts);
        assert_eq!(said("{checkpoint}: {facts}"), "run/checkpoint-20: step 20, loss 2.31");
        assert_eq!(said("s{step} l{loss}, {nothing}"), "s20 l2.31");
        assert_eq!(said("{ open {step"), "{ open {step");
        assert_eq!(message("{checkpoint}: {facts}", "", &Facts::default()), "checkpoint");
        assert_eq!(message("{checkpoint}: {facts}", "m.gguf", &Facts::default()), "m.gguf");
    }
}
