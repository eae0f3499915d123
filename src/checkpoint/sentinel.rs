//! Which file, when it is there, says that a checkpoint is complete. What programs write last was seen by tracing them.

/// What the appearance of a file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// The checkpoint in its folder is complete.
    Complete,
    /// It is, if nothing follows soon.
    Perhaps,
    /// Nothing.
    Nothing,
}

/// What files end in that are whole models or checkpoints by themselves.
const ALONE: [&str; 9] = [".bin", ".ckpt", ".gguf", ".h5", ".keras", ".npz", ".pt", ".pth", ".safetensors"];

/// The last part of a path, and what is before it.
pub(super) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// Whether a path is inside of something that its program will give another name.
fn is_in_the_making(path: &str) -> bool {
    path.split('/').any(|name| name.contains(".orbax-checkpoint-tmp") || name.starts_with("tmp-checkpoint-"))
}

/// Whether a folder is called as those of the Trainer of transformers: what it writes last there is its state.
fn is_of_trainer(folder: &str) -> bool {
    let (_, name) = split(folder);
    name.strip_prefix("checkpoint-")
        .is_some_and(|step| !step.is_empty() && step.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether a file is one of several that a model lies in: `model-00001-of-00003.safetensors`. Their index comes last.
fn is_shard(name: &str) -> bool {
    let Some((before, after)) = name.split_once("-of-") else { return false };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let before = before.rsplit('-').next().unwrap_or_default();
    !before.is_empty() && digits(before) == before.len() && digits(after) > 0
}

/// What a file says that was closed by who wrote it.
pub(super) fn closed(path: &str) -> Says {
    let (folder, name) = split(path);
    if is_in_the_making(path) || name.starts_with(".tmp") {
        return Says::Nothing;
    }
    match name {
        "trainer_state.json" | "commit_success.txt" => Says::Complete,
        _ if is_of_trainer(folder) => Says::Nothing,
        _ if name.ends_with(".index.json") => Says::Perhaps,
        _ if ALONE.iter().any(|ending| name.ends_with(ending)) && !is_shard(name) => Says::Perhaps,
        _ => Says::Nothing,
    }
}

/// What it says that something has a new name: a file whose name is the last thing that its program gives, or a folder.
pub(super) fn moved(from: &str, to: &str) -> Says {
    let ((_, old), (_, new)) = (split(from), split(to));
    let is_folder =
        old.contains(".orbax-checkpoint-tmp") || old.strip_prefix("tmp-") == Some(new) && is_of_trainer(to);
    match is_folder || new == ".metadata" {
        true if !is_in_the_making(to) => Says::Complete,
        _ => closed(to),
    }
}

/// The folder of the checkpoint that a path completes: the path itself if it is that folder.
pub(super) fn folder_of<'a>(from: Option<&str>, to: &'a str) -> &'a str {
    let is_folder = |from: &str| {
        let (_, old) = split(from);
        old.contains(".orbax-checkpoint-tmp") || old.starts_with("tmp-checkpoint-")
    };
    if from.is_some_and(is_folder) { to } else { split(to).0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_program_writes_last_completes_its_checkpoint() {
        for complete in ["run/checkpoint-20/trainer_state.json", "3/commit_success.txt"] {
            assert_eq!(closed(complete), Says::Complete, "{complete}");
        }
        assert_eq!(moved("d/.metadata.tmp", "d/.metadata"), Says::Complete);
        assert_eq!(moved("10.orbax-checkpoint-tmp", "10"), Says::Complete);
        assert_eq!(moved("r/tmp-checkpoint-5", "r/checkpoint-5"), Says::Complete);
        for perhaps in ["m/model.safetensors.index.json", "epoch=3.ckpt", "m.gguf", "a/pytorch_model.bin"] {
            assert_eq!(closed(perhaps), Says::Perhaps, "{perhaps}");
        }
        assert_eq!(moved("m/.tmpAb12cd", "m/model.safetensors"), Says::Perhaps);
    }

    #[test]
    fn what_is_followed_by_more_completes_nothing() {
        for nothing in [
            "run/checkpoint-20/model.safetensors",
            "run/checkpoint-20/model.safetensors.index.json",
            "run/checkpoint-20/optimizer.pt",
            "m/model-00001-of-00003.safetensors",
            "tmp-checkpoint-5/trainer_state.json",
            "10.orbax-checkpoint-tmp/x/commit_success.txt",
            "config.json",
            "d/__0_0.distcp",
            "m/.tmpAb12cd",
        ] {
            assert_eq!(closed(nothing), Says::Nothing, "{nothing}");
        }
        assert!(!is_shard("one-of-a-kind.pt"));
    }

    #[test]
    fn a_folder_that_got_its_name_is_the_checkpoint() {
        assert_eq!(folder_of(Some("r/10.orbax-checkpoint-tmp"), "r/10"), "r/10");
        assert_eq!(folder_of(Some("r/.tmp1"), "r/m.safetensors"), "r");
        assert_eq!(folder_of(None, "m.gguf"), "");
    }
}
