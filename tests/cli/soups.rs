//! Models made one: `soup`, and `merge` with strategies that mix.

use super::workbench::{Ran, Workbench, safetensors, weights};
use serde_json::{Value, json};
use std::fs;

/// A file of two layers and what comes before and behind.
fn model(seed: u64) -> Vec<u8> {
    let of = |number: u64, count| weights(seed * 10 + number, count);
    safetensors(&[
        ("model.embed.weight", &of(1, 300)),
        ("model.layers.0.mlp.weight", &of(2, 400)),
        ("model.layers.1.mlp.weight", &of(3, 400)),
        ("model.norm.weight", &of(4, 20)),
    ])
}

/// `base`, and `math` and `code`, which come from it; `main` is at the base.
fn family() -> Workbench {
    let bench = Workbench::new();
    bench.write("config.json", b"{\n  \"num_hidden_layers\": 2,\n  \"torch_dtype\": \"float32\"\n}\n");
    bench.coral(&["add", "config.json"]).succeeds();
    bench.commit("model.safetensors", &model(1), "base");
    bench.coral(&["tag", "base"]).succeeds();
    for (branch, seed) in [("math", 2), ("code", 3)] {
        bench.coral(&["switch", "-c", branch, "base"]).succeeds();
        bench.commit("model.safetensors", &model(seed), branch);
    }
    bench.coral(&["switch", "main"]).succeeds();
    bench
}

/// Tensors of a safetensors file by name: type, shape and bytes.
fn tensors(file: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let len = u64::from_le_bytes(file[..8].try_into().expect("a length")) as usize;
    let header: Value = serde_json::from_slice(&file[8..8 + len]).expect("a header");
    let data = &file[8 + len..];
    let entries = header.as_object().expect("a map").iter().filter(|(name, _)| *name != "__metadata__");
    entries
        .map(|(name, entry)| {
            let range = &entry["data_offsets"];
            let at = |index: usize| range[index].as_u64().expect("a number") as usize;
            (name.clone(), entry["dtype"].as_str().expect("a type").to_owned(), data[at(0)..at(1)].to_vec())
        })
        .collect()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

/// What is made of the numbers of several files, tensor by tensor.
fn mixed(files: &[Vec<u8>], mix: impl Fn(&[f64]) -> f64) -> Vec<(String, String, Vec<u8>)> {
    let all: Vec<_> = files.iter().map(|file| tensors(file)).collect();
    let one = |number: usize| {
        let numbers: Vec<Vec<f32>> = all.iter().map(|tensors| floats(&tensors[number].2)).collect();
        let bytes = (0..numbers[0].len()).flat_map(|place| {
            let operands: Vec<f64> = numbers.iter().map(|numbers| f64::from(numbers[place])).collect();
            (mix(&operands) as f32).to_le_bytes()
        });
        (all[0][number].0.clone(), all[0][number].1.clone(), bytes.collect())
    };
    (0..all[0].len()).map(one).collect()
}

fn made(bench: &Workbench) -> Vec<(String, String, Vec<u8>)> {
    tensors(&bench.cat("HEAD:model.safetensors"))
}

fn metadata(bench: &Workbench, key: &str) -> Value {
    bench.coral(&["--json", "log", "-1"]).json()["commits"][0]["metadata"][key].clone()
}

#[test]
fn a_weighted_mean_is_a_commit_that_says_how_it_was_made() {
    let bench = family();
    let ran =
        bench.coral(&["--json", "soup", "math", "code", "--method", "linear", "--weights", "3,1"]).json();
    assert_eq!(made(&bench), mixed(&[model(2), model(3)], |x| (3.0 * x[0] + 1.0 * x[1]) / 4.0));
    assert_eq!((&ran["schema"], &ran["method"]), (&json!("coral.soup/1"), &json!("linear")));
    assert_eq!((&ran["files"][0]["mixed"], &ran["files"][0]["same"]), (&json!(4), &json!(0)));
    assert_eq!(metadata(&bench, "soup.method"), "linear");
    let models =
        [&ran["models"][0]["commit"], &ran["models"][1]["commit"]].map(|id| id.as_str().expect("an id"));
    assert_eq!(metadata(&bench, "soup.models"), models.join(" "));
    assert_eq!(metadata(&bench, "soup.parameters"), "weight of 1=3; weight of 2=1");
    // What is around the numbers is the first model's, and so is the rest.
    let (old, new) = (bench.cat("math:model.safetensors"), bench.cat("HEAD:model.safetensors"));
    let header = 8 + u64::from_le_bytes(old[..8].try_into().expect("a length")) as usize;
    assert_eq!((old.len(), &old[..header]), (new.len(), &new[..header]));
    assert_eq!(bench.cat("HEAD:config.json"), bench.cat("math:config.json"));
    let again = bench.coral(&["soup", "math", "code", "--method", "linear", "--weights", "3,1"]).succeeds();
    assert!(again.stdout.contains("has it all already"), "{again:?}");
    assert!(bench.coral(&["status"]).succeeds().stdout.contains("nothing to commit"));
    bench.coral(&["fsck", "--full"]).succeeds();
    let left: Vec<_> = fs::read_dir(bench.path("repo/.coral/scratch")).expect("a folder").collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn differences_are_counted_from_where_the_models_parted() {
    let bench = family();
    let ran = bench
        .coral(&["--json", "soup", "math", "code", "--method", "task-arithmetic", "--lambda", "0.5"])
        .json();
    let base = bench.coral(&["--json", "log", "-1", "base"]).json()["commits"][0]["commit"].clone();
    assert_eq!(ran["base"], base);
    let expected = mixed(&[model(1), model(2), model(3)], |x| x[0] + 0.5 * ((x[1] - x[0]) + (x[2] - x[0])));
    assert_eq!(made(&bench), expected);
    // One fine-tune with the weight 1 is itself.
    bench.coral(&["soup", "math", "--method", "task-arithmetic", "--base", "base"]).succeeds();
    assert_eq!(made(&bench), tensors(&model(2)));
    bench.coral(&["soup", "math", "--method", "ties"]).fails(1, &["ties counts differences from a base"]);
    bench
        .coral(&["soup", "math", "code", "--method", "linear", "--base", "base"])
        .fails(2, &["linear has no base"]);
}

#[test]
fn a_seed_makes_the_same_bytes_and_another_one_others() {
    let bench = family();
    let dare = |seed: &str| {
        let arguments = ["soup", "math", "code", "--method", "dare-ties", "--density", "0.5", "--seed", seed];
        bench.coral(&arguments).succeeds();
        assert_eq!(metadata(&bench, "soup.seed"), seed);
        let made = bench.cat("HEAD:model.safetensors");
        bench.coral(&["reset", "--hard", "base"]).succeeds();
        made
    };
    let (one, again, other) = (dare("1"), dare("1"), dare("2"));
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn values_are_said_by_tensor_and_by_layer() {
    let bench = family();
    let t = ["-t", "embed=0", "-t", "mlp=[0,1]", "-t", "1"];
    bench.coral(&[&["soup", "math", "code", "--method", "slerp"][..], &t].concat()).succeeds();
    let (math, code, made) = (tensors(&model(2)), tensors(&model(3)), made(&bench));
    assert_eq!([&made[0], &made[1]], [&math[0], &math[1]]);
    assert_eq!([&made[2], &made[3]], [&code[2], &code[3]]);
    bench
        .coral(&["soup", "math", "code", "--method", "linear", "--weights", "mlp=0,1", "--weights", "1,0"])
        .succeeds();
    let made = self::made(&bench);
    assert_eq!([&made[0], &made[1], &made[2], &made[3]], [&math[0], &code[1], &code[2], &math[3]]);
}

#[test]
fn what_is_wrong_with_values_is_told_before_anything_is_made() {
    let bench = family();
    let soup = |said: &[&str]| bench.coral(&[&["soup", "math", "code", "--method"], said].concat());
    for (option, value) in [("-t", "1.5"), ("-t", "[0,1,2]"), ("--alpha", "mlp=-0.5"), ("--alpha", "-1")] {
        soup(&["slerp", option, value]).fails(2, &[option, "is not from 0 to 1"]);
    }
    soup(&["ties", "--density", "-1"]).fails(2, &["--density", "-1 is not from 0 to 1"]);
    soup(&["ema", "--decay", "-1"]).fails(2, &["--decay", "-1 is not from 0 to 1"]);
    soup(&["linear", "--alpha", "0.5"]).fails(2, &["linear does not go by --alpha"]);
    soup(&["linear", "-t", "0.5"]).fails(2, &["linear does not go by -t"]);
    for linear in ["average", "mean"] {
        soup(&[linear]).fails(2, &["no method is called", "`--method linear`"]);
    }
    // A pattern that fits nothing is a slip, and a run that only tells says what a real one does.
    for only_tells in [&["-n"][..], &[]] {
        let soup = |said: &[&str]| soup(&[said, only_tells].concat());
        soup(&["slerp", "-t", "attn=0", "-t", "1"]).fails(1, &["`attn` fits the name of no tensor"]);
        soup(&["linear", "--weights", "*.bias=1,0"]).fails(1, &["`*.bias` fits the name of no tensor"]);
        soup(&["slerp", "-t", "mlp=0"]).fails(1, &["slerp needs `t` for `model.embed.weight`"]);
        soup(&["linear", "--weights", "1,-1"]).fails(1, &["add up to zero"]);
    }
    soup(&["linear", "-n", "--weights", "-1,2"]).succeeds();
    for (parameters, told) in [
        ("merge_method: linear\nparameters: {t: 0.5}\n", "`t` is no parameter of linear"),
        ("merge_method: slerp\nparameters: {t: 1.5}\n", "`t` is 1.5, and must be from 0 to 1"),
        (
            "merge_method: slerp\nparameters: {t: [{filter: mlp, value: [0, 2]}, {value: 0}]}\n",
            "`t` is 2, and",
        ),
    ] {
        fs::write(
            bench.path("recipe.yml"),
            format!("models: [{{model: math}}, {{model: code}}]\n{parameters}"),
        )
        .expect("write");
        bench.coral(&["soup", "--recipe", "../recipe.yml"]).fails(1, &[told]);
    }
    assert!(!bench.coral(&["log", "-1"]).succeeds().stdout.contains("Soup of"));
}

#[test]
fn the_last_commits_and_the_best_ones_are_models() {
    let bench = Workbench::new();
    for (seed, loss) in [(1, "0.3"), (2, "0.1"), (3, "0.2")] {
        bench.write("model.safetensors", &model(seed));
        bench.coral(&["add", "model.safetensors"]).succeeds();
        bench.coral(&["commit", "-m", "step", "-d", &format!("loss={loss}")]).succeeds();
        bench.coral(&["tag", &format!("step{seed}")]).succeeds();
    }
    bench.coral(&["soup", "main", "--last", "2", "--method", "ema", "--decay", "0.9"]).succeeds();
    assert_eq!(made(&bench), mixed(&[model(2), model(3)], |x| x[0] + (1.0 - 0.9) * (x[1] - x[0])));
    bench.coral(&["reset", "--hard", "step3"]).succeeds();
    bench.coral(&["soup", "main", "--last", "2", "--method", "linear", "--weights", "1,3"]).succeeds();
    assert_eq!(made(&bench), mixed(&[model(2), model(3)], |x| (1.0 * x[0] + 3.0 * x[1]) / 4.0));
    let greedy = ["soup", "step1", "step2", "step3", "--method", "greedy", "--metric", "loss"];
    let ran = bench.coral(&[&["--json"], &greedy[..]].concat()).json();
    assert_eq!((&ran["models"][0]["name"], &ran["models"][1]["name"]), (&json!("step2"), &json!("step3")));
    assert_eq!(made(&bench), mixed(&[model(2), model(3)], |x| (x[0] + x[1]) / 2.0));
    assert_eq!(ran["method"], "greedy");
    let said = ["soup.method", "soup.metric", "soup.mode", "soup.take"].map(|key| metadata(&bench, key));
    assert_eq!(said, ["greedy", "loss", "min", "2"]);
    let shown = bench.coral(&["log", "-1", "--format=%s"]).succeeds().stdout;
    assert_eq!(shown, "Soup of step2, step3 by greedy\n");
    bench.coral(&["soup", "step1", "--last", "5", "--method", "linear"]).fails(1, &["has 1 commits"]);
    bench
        .coral(&["soup", "step1", "--method", "greedy", "--metric", "acc"])
        .fails(1, &["nothing says `acc` of `step1`"]);
    bench.coral(&["soup", "step1", "--method", "greedy"]).fails(2, &["--metric"]);
    bench.coral(&["commit", "--allow-empty", "-m", "odd", "-d", "acc=nan"]).succeeds();
    bench.coral(&["soup", "HEAD", "--method", "greedy", "--metric", "acc"]).fails(1, &["no finite number"]);
}

#[test]
fn another_type_of_the_result_is_a_new_header_and_a_new_configuration() {
    let bench = family();
    bench.coral(&["soup", "math", "code", "--method", "linear", "--out-dtype", "bf16"]).succeeds();
    let made = made(&bench);
    let exact = mixed(&[model(2), model(3)], |x| (x[0] + x[1]) / 2.0);
    for ((name, dtype, bytes), (other, _, wide)) in made.iter().zip(&exact) {
        assert_eq!((name, dtype.as_str(), 2 * bytes.len()), (other, "BF16", wide.len()));
        for (got, exact) in bytes.as_chunks::<2>().0.iter().zip(floats(wide)) {
            let got = f32::from_bits(u32::from(u16::from_le_bytes(*got)) << 16);
            assert!((got - exact).abs() <= exact.abs() / 256.0, "{got} {exact}");
        }
    }
    let config = String::from_utf8(bench.cat("HEAD:config.json")).expect("text");
    assert!(config.contains("\"torch_dtype\": \"bfloat16\""), "{config}");
    // Mixed types are told of, and the result has the first one's.
    let ran = bench.coral(&["soup", "HEAD", "math", "--method", "linear"]).succeeds();
    assert!(ran.stderr.contains("of several types"), "{ran:?}");
    assert!(self::made(&bench).iter().all(|(_, dtype, _)| dtype == "BF16"));
}

#[test]
fn what_cannot_be_mixed_is_named_and_nothing_is_changed() {
    let bench = Workbench::new();
    bench.commit("model.safetensors", &safetensors(&[("a", &[1.0, 2.0]), ("b", &[1.0])]), "first");
    bench.coral(&["switch", "-c", "other"]).succeeds();
    bench.commit("model.safetensors", &safetensors(&[("a", &[1.0, 2.0, 3.0]), ("c", &[1.0])]), "second");
    let soup =
        |more: &[&str]| bench.coral(&[&["soup", "main", "other", "--method", "linear"], more].concat());
    soup(&[]).fails(1, &["`other` has no `b`", "`other` has `c`, and `main` has not"]);
    bench.commit("model.safetensors", &safetensors(&[("a", &[1.0, 2.0, 3.0]), ("b", &[1.0])]), "third");
    soup(&[]).fails(1, &["`a` is [2] in `main` and [3] in `other`", "--copy PATTERN"]);
    bench.commit("model.safetensors", &safetensors(&[("a", &[1.0, f32::NAN]), ("b", &[3.0])]), "fourth");
    soup(&["--copy", "a"]).succeeds();
    assert_eq!(
        tensors(&bench.cat("HEAD:model.safetensors"))[0].2,
        [1.0f32, 2.0].map(f32::to_le_bytes).concat()
    );
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    bench
        .coral(&["soup", "main", "other", "--method", "nuslerp"])
        .fails(1, &["`a` has numbers that are not finite"]);
    let told = soup(&[]).succeeds();
    assert!(told.stderr.contains("1 elements are not finite"), "{told:?}");
    soup(&["--weights", "1,-1"]).fails(1, &["add up to zero"]);
    soup(&["--weights", "1"]).fails(2, &["1 weights are given, and 2 models"]);
    bench.coral(&["soup", "main", "--method", "stew"]).fails(2, &["no method is called `stew`", "slerp"]);
    bench.coral(&["soup", "main", "other", "--method", "slerp"]).fails(1, &["slerp needs `t`"]);
    bench
        .coral(&["soup", "main", "other", "--method", "ties", "--density", "2"])
        .fails(2, &["--density", "2 is not from 0 to 1"]);
    bench.commit("x", b"no tensors", "a file");
    bench.write("x", b"changed");
    bench.coral(&["add", "x"]).succeeds();
    soup(&[]).fails(1, &["not committed"]);
}

/// A safetensors file of one integer tensor beside a float one.
fn counter(count: i64, weight: f32) -> Vec<u8> {
    let header = r#"{"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;
    let parts = [
        &(header.len() as u64).to_le_bytes()[..],
        header.as_bytes(),
        &count.to_le_bytes(),
        &weight.to_le_bytes(),
    ];
    parts.concat()
}

#[test]
fn integers_are_kept_where_they_are_equal_and_refused_where_they_are_not() {
    let bench = Workbench::new();
    bench.commit("m.safetensors", &counter(7, 1.0), "first");
    bench.coral(&["switch", "-c", "other"]).succeeds();
    bench.commit("m.safetensors", &counter(7, 2.0), "second");
    bench.coral(&["soup", "main", "other", "--method", "linear"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), counter(7, 1.5));
    bench.commit("m.safetensors", &counter(9, 2.0), "third");
    bench
        .coral(&["soup", "main", "other", "--method", "linear"])
        .fails(1, &["`n` differs, and I64 is no type"]);
    bench.coral(&["soup", "main", "other", "--method", "linear", "--copy", "n"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), counter(7, 1.5));
}

#[test]
fn layers_are_stacked_by_a_recipe() {
    let bench = family();
    bench.write(
        "r.yml",
        b"slices:\n  - sources: [{model: math, layer_range: [0, 2]}]\n  - sources: [{model: code, layer_range: [1, 2]}]\nmerge_method: passthrough\n",
    );
    bench.coral(&["soup", "--recipe", "r.yml"]).succeeds();
    let (math, code) = (tensors(&model(2)), tensors(&model(3)));
    let mut expected =
        vec![math[0].clone(), math[1].clone(), math[2].clone(), code[2].clone(), code[3].clone()];
    expected[3].0 = "model.layers.2.mlp.weight".into();
    assert_eq!(made(&bench), expected);
    let config = String::from_utf8(bench.cat("HEAD:config.json")).expect("text");
    assert!(config.contains("\"num_hidden_layers\": 3"), "{config}");
    assert!(metadata(&bench, "soup.recipe").as_str().is_some_and(|text| text.contains("passthrough")));
    bench.write(
        "r.yml",
        b"slices:\n  - sources: [{model: math, layer_range: [0, 18446744073709551615]}]\nmerge_method: passthrough\n",
    );
    bench.coral(&["soup", "--recipe", "r.yml"]).fails(1, &["65536"]);
}

#[test]
fn a_recipe_of_a_model_card_does_what_the_flags_do() {
    let bench = family();
    bench.write(
        "r.yml",
        b"models:\n  - model: base\n  - model: math\n    parameters: {density: 0.5, weight: 0.5}\n  - model: code\n    parameters: {density: 0.5, weight: 0.3}\nmerge_method: ties\nbase_model: base\nparameters:\n  normalize: true\n  int8_mask: true\n",
    );
    bench.coral(&["soup", "--recipe", "r.yml"]).succeeds();
    let by_recipe = made(&bench);
    bench.coral(&["reset", "--hard", "base"]).succeeds();
    bench
        .coral(&["soup", "math", "code", "--method", "ties", "--density", "0.5", "--weights", "0.5,0.3"])
        .succeeds();
    assert_eq!(made(&bench), by_recipe);
    bench.write("bad.yml", b"a: &x [1]\nb: *x\n");
    bench.coral(&["soup", "--recipe", "bad.yml"]).fails(1, &["cannot read the recipe", "line"]);
    bench.coral(&["soup", "--recipe", "none.yml"]).fails(1, &["cannot read the recipe"]);
    bench.coral(&["soup", "--recipe", "r.yml", "math"]).fails(2, &["cannot be used with"]);
}

#[test]
fn shards_face_each_other_and_what_belongs_to_a_run_is_left_out() {
    let bench = Workbench::new();
    let part = |name: &str, value: f32| safetensors(&[(name, &[value; 4])]);
    let save = |shards: &[(&str, Vec<u8>)], message: &str| {
        shards.iter().for_each(|(name, bytes)| bench.write(name, bytes));
        bench.write("optimizer.pt", message.as_bytes());
        bench.coral(&["add", "."]).succeeds();
        bench.coral(&["commit", "-m", message]).succeeds();
    };
    save(
        &[
            ("model-00001-of-00002.safetensors", part("a", 1.0)),
            ("model-00002-of-00002.safetensors", part("b", 2.0)),
        ],
        "sharded",
    );
    bench.coral(&["switch", "-c", "whole"]).succeeds();
    bench.coral(&["rm", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]).succeeds();
    fs::remove_file(bench.path("repo/model-00001-of-00002.safetensors")).expect("there");
    fs::remove_file(bench.path("repo/model-00002-of-00002.safetensors")).expect("there");
    save(&[("model.safetensors", safetensors(&[("a", &[3.0; 4]), ("b", &[4.0; 4])]))], "whole");
    // On a branch that has the model as one file: the shards take its place.
    let ran = bench.coral(&["soup", "main", "whole", "--method", "linear"]).succeeds();
    assert!(ran.stderr.contains("`optimizer.pt` belongs to a run"), "{ran:?}");
    assert!(ran.stderr.contains("`model.safetensors` is of the model that was there"), "{ran:?}");
    assert_eq!(bench.cat("HEAD:model-00001-of-00002.safetensors"), part("a", 2.0));
    assert_eq!(bench.cat("HEAD:model-00002-of-00002.safetensors"), part("b", 3.0));
    let listed = bench.coral(&["ls", "HEAD"]).succeeds().stdout;
    assert!(!listed.contains("optimizer.pt") && !listed.contains("model.safetensors"), "{listed}");
}

#[test]
fn a_dry_run_tells_and_does_nothing() {
    let bench = family();
    let before = bench.coral(&["--json", "log", "-1"]).json()["commits"][0]["commit"].clone();
    let ran = bench.coral(&["--json", "soup", "math", "base", "--method", "linear", "-n"]).json();
    assert_eq!(
        (&ran["dry_run"], &ran["commit"], &ran["files"][0]["mixed"]),
        (&json!(true), &Value::Null, &json!(4))
    );
    let same = bench.coral(&["--json", "soup", "math", "math", "--method", "linear", "-n"]).json();
    assert_eq!((&same["files"][0]["mixed"], &same["files"][0]["same"]), (&json!(0), &json!(4)));
    assert_eq!(bench.coral(&["--json", "log", "-1"]).json()["commits"][0]["commit"], before);
}

#[test]
fn files_that_stay_as_they_were_written_are_made_small_later() {
    let bench = Workbench::new();
    let large = |seed| safetensors(&[("w", &weights(seed, 600_000))]);
    bench.commit("m.safetensors", &large(1), "first");
    bench.coral(&["switch", "-c", "other"]).succeeds();
    bench.commit("m.safetensors", &large(2), "second");
    bench.coral(&["soup", "main", "other", "--method", "linear", "--no-pack"]).succeeds();
    let made = bench.cat("HEAD:m.safetensors");
    assert_eq!(tensors(&made), mixed(&[large(1), large(2)], |x| (x[0] + x[1]) / 2.0));
    bench.coral(&["drain"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), made);
    bench.coral(&["fsck", "--full"]).succeeds();
}

fn parted() -> (Workbench, Vec<Vec<u8>>) {
    let bench = family();
    bench.coral(&["reset", "--hard", "math"]).succeeds();
    (bench, vec![model(2), model(3)])
}

#[test]
fn a_merge_mixes_only_what_both_changed() {
    let (bench, both) = parted();
    bench.coral(&["merge", "code"]).fails(1, &["1 conflict"]);
    bench.coral(&["merge", "--abort"]).succeeds();
    bench.coral(&["merge", "code", "-s", "average"]).succeeds();
    assert_eq!(made(&bench), mixed(&both, |x| (x[0] + x[1]) / 2.0));
    bench.coral(&["reset", "--hard", "math"]).succeeds();
    bench.coral(&["merge", "code", "-X", "weighted", "--alpha", "0.25"]).succeeds();
    assert_eq!(made(&bench), mixed(&both, |x| 0.25 * x[0] + (1.0 - 0.25) * x[1]));
    bench.coral(&["fsck", "--full"]).succeeds();
    bench
        .coral(&["merge", "code", "-s", "average", "--alpha", "0.5"])
        .fails(2, &["`--alpha` belongs to `-s weighted`"]);
    bench.coral(&["merge", "code", "--alpha", "0.3"]).fails(2, &["`--alpha` belongs to `-s weighted`"]);
    for method in ["ties", "dare-ties", "dare-linear", "task-arithmetic", "slerp", "greedy", "linear"] {
        let way = format!("`coral soup --method {method}`");
        bench.coral(&["merge", "code", "--strategy", method]).fails(2, &["strategies are ours", &way]);
    }
    bench.coral(&["merge", "code", "-s", "weighted", "--alpha", "1.5"]).fails(2, &["a number from 0 to 1"]);
    bench.coral(&["merge", "code", "-s", "stir"]).fails(2, &["ours, theirs, average, weighted and fail"]);
}

#[test]
fn what_is_changed_on_one_side_only_is_that_sides_in_a_merge_that_mixes() {
    let bench = Workbench::new();
    let file = |a: f32, b: f32, c: f32| safetensors(&[("a", &[a]), ("b", &[b]), ("c", &[c])]);
    bench.commit("m.safetensors", &file(1.0, 1.0, 1.0), "base");
    bench.write("t.txt", b"base\n");
    bench.coral(&["add", "t.txt"]).succeeds();
    bench.coral(&["commit", "-m", "text"]).succeeds();
    bench.coral(&["switch", "-c", "dev"]).succeeds();
    bench.write("t.txt", b"there\n");
    bench.coral(&["add", "t.txt"]).succeeds();
    bench.commit("m.safetensors", &file(1.0, 2.0, 4.0), "there");
    bench.coral(&["switch", "main"]).succeeds();
    bench.write("t.txt", b"here\n");
    bench.coral(&["add", "t.txt"]).succeeds();
    bench.commit("m.safetensors", &file(3.0, 1.0, 2.0), "here");
    // Text has no mean.
    let told = bench.coral(&["merge", "dev", "-s", "average"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("t.txt") && !told.stdout.contains("m.safetensors"), "{told:?}");
    bench.coral(&["checkout", "--ours", "t.txt"]).succeeds();
    bench.coral(&["merge", "--continue"]).succeeds();
    assert_eq!(bench.cat("HEAD:m.safetensors"), file(3.0, 2.0, 3.0));
    assert_eq!(bench.cat("HEAD:t.txt"), b"here\n");
}

#[test]
fn the_examples_of_the_page_on_merging_do_what_they_say() {
    let bench = family();
    let page =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/merge.md")).expect("docs/merge.md");
    let mut blocks = page.split("```").skip(1).step_by(2);
    let recipe = blocks.clone().find_map(|block| block.strip_prefix("yaml\n")).expect("a recipe");
    bench.write("recipe.yml", recipe.as_bytes());
    let lines = blocks.by_ref().filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines);
    let mut ran = 0;
    for line in lines.filter(|line| line.starts_with("coral ")) {
        let words: Vec<&str> =
            line.split(" #").next().unwrap_or_default().split_whitespace().skip(1).collect();
        let words: Vec<&str> = words.iter().map(|word| word.trim_matches('\'')).collect();
        let command: Ran = bench.coral(&words);
        assert_eq!(command.code, 0, "{line}: {command:?}");
        ran += 1;
    }
    assert!(ran > 10, "{ran}");
}

#[test]
fn what_a_method_does_not_go_by_is_refused_by_name() {
    let bench = family();
    for (method, flags) in [
        ("linear", ["--density", "0.5"]),
        ("linear", ["--seed", "1"]),
        ("slerp", ["--weights", "1,2"]),
        ("ties", ["--rescale", "l1"]),
        ("dare-linear", ["--consensus", "count"]),
        ("ema", ["--metric", "loss"]),
        ("greedy", ["--lambda", "2"]),
    ] {
        let said = ["soup", "math", "code", "--method", method, "--metric", "loss"];
        let said = if method == "greedy" { &said[..] } else { &said[..5] };
        bench
            .coral(&[said, &flags[..]].concat())
            .fails(2, &[&format!("{method} does not go by {}", flags[0])]);
    }
    let ties = ["soup", "math", "code", "--method", "dare-ties", "--density", "0.5", "--consensus", "count"];
    bench.coral(&[&ties[..], &["--rescale", "inverse"]].concat()).succeeds();
    assert_eq!(metadata(&bench, "soup.consensus"), "count");
    assert_eq!(metadata(&bench, "soup.rescale"), "inverse");
}

#[test]
fn what_a_soup_left_that_was_killed_is_swept_by_the_next_command() {
    let bench = family();
    let scratch = bench.path("repo/.coral/scratch");
    fs::create_dir_all(&scratch).expect("create");
    fs::write(scratch.join("left"), b"half a model").expect("write");
    bench.coral(&["status"]).succeeds();
    assert_eq!(fs::read_dir(&scratch).expect("a folder").count(), 0);
    bench.coral(&["soup", "--abort"]).fails(1, &["no merge, revert or cherry-pick is under way"]);
}

#[test]
fn no_more_waits_to_be_coded_than_the_settings_allow() {
    let bench = Workbench::new();
    let large = |seed| safetensors(&[("w", &weights(seed, 600_000))]);
    bench.commit("m.safetensors", &large(1), "first");
    bench.coral(&["switch", "-c", "other"]).succeeds();
    bench.commit("m.safetensors", &large(2), "second");
    let waiting = || bench.coral(&["--json", "status"]).json()["waiting_bytes"].clone();
    bench.coral(&["config", "set", "core.plain_size", "2MiB"]).succeeds();
    bench.coral(&["soup", "main", "other", "--method", "linear", "--no-pack"]).succeeds();
    assert_eq!(waiting(), 0);
    bench.coral(&["reset", "--hard", "HEAD~1"]).succeeds();
    bench.coral(&["config", "set", "core.plain_size", "1GiB"]).succeeds();
    bench.coral(&["soup", "main", "other", "--method", "linear", "--no-pack", "--weights", "1,3"]).succeeds();
    assert!(waiting().as_u64() > Some(2_000_000), "{}", waiting());
}

/// A square array as NumPy saves it, in C's order of elements or Fortran's.
fn array(fortran: bool, numbers: &[f32; 4]) -> Vec<u8> {
    let order = if fortran { "True" } else { "False" };
    let said = format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': (2, 2), }}");
    let padded = format!("{said:<117}\n");
    let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
    [b"\x93NUMPY\x01\0", &(padded.len() as u16).to_le_bytes()[..], padded.as_bytes(), &bytes].concat()
}

#[test]
fn a_matrix_is_not_mixed_with_the_memory_of_its_transpose() {
    let bench = Workbench::new();
    let numbers = [1.0, 2.0, 3.0, 4.0];
    bench.commit("w.npy", &array(false, &numbers), "rows");
    bench.coral(&["tag", "rows"]).succeeds();
    bench.commit("w.npy", &array(true, &numbers), "columns");
    bench.coral(&["tag", "columns"]).succeeds();
    bench.coral(&["soup", "rows", "columns", "--method", "linear"]).fails(1, &["another order"]);
    bench.commit("w.npy", &array(false, &[3.0, 4.0, 5.0, 6.0]), "rows again");
    bench.coral(&["soup", "rows", "HEAD", "--method", "linear"]).succeeds();
    assert_eq!(bench.cat("HEAD:w.npy"), array(false, &[2.0, 3.0, 4.0, 5.0]));
}

/// Bytes of all packs and of what is attached to them.
fn packs(bench: &Workbench) -> u64 {
    let files = fs::read_dir(bench.path("repo/.coral/packs")).expect("a folder");
    let is_pack = |name: &str| name.ends_with(".cpk") || name.ends_with(".raw");
    files
        .map(|file| file.expect("listed"))
        .filter(|file| is_pack(&file.file_name().to_string_lossy()))
        .map(|file| file.metadata().expect("a file").len())
        .sum()
}

#[test]
fn what_is_made_of_models_takes_next_to_no_room() {
    let bench = Workbench::new();
    let large = |seed| safetensors(&[("w", &weights(seed, 400_000)), ("v", &weights(seed + 100, 70_000))]);
    bench.commit("m.safetensors", &large(1), "base");
    bench.coral(&["tag", "base"]).succeeds();
    for (branch, seed) in [("math", 2), ("code", 3)] {
        bench.coral(&["switch", "-c", branch, "base"]).succeeds();
        bench.commit("m.safetensors", &large(seed), branch);
    }
    bench.coral(&["switch", "-c", "soup", "base"]).succeeds();
    let before = packs(&bench);
    let recipes: [&[&str]; 8] = [
        &["--method", "linear", "--weights", "2,1"],
        &["--method", "slerp", "-t", "0.4"],
        &["--method", "ema"],
        &["--method", "task-arithmetic", "--lambda", "0.5"],
        &["--method", "ties", "--density", "0.3"],
        &["--method", "dare-ties", "--density", "0.5"],
        &["--method", "model-stock"],
        &["--method", "nuslerp", "--weights", "1,2", "--no-pack"],
    ];
    let mut made = Vec::new();
    for recipe in recipes {
        bench.coral(&[&["soup", "math", "code"], recipe].concat()).succeeds();
        made.push(bench.cat("HEAD:m.safetensors"));
    }
    bench.coral(&["drain"]).succeeds();
    let grown = packs(&bench) - before;
    assert!(grown < 64 << 10, "{} results of 1.9 MB took {grown} bytes", recipes.len());
    bench.coral(&["fsck", "--full"]).succeeds();
    let all_come_back = || {
        for (number, bytes) in made.iter().rev().enumerate() {
            assert!(bench.cat(&format!("HEAD~{number}:m.safetensors")) == *bytes, "{:?}", recipes[number]);
        }
    };
    all_come_back();
    bench.coral(&["repack"]).succeeds();
    all_come_back();
    bench.coral(&["fsck", "--full"]).succeeds();
    // One merge of both is a soup of two.
    bench.coral(&["reset", "--hard", "math"]).succeeds();
    let before = packs(&bench);
    bench.coral(&["merge", "code", "-s", "average"]).succeeds();
    assert!(packs(&bench) - before < 64 << 10);
    bench.coral(&["fsck", "--full"]).succeeds();
}
