//! What git users type from memory.

use super::workbench::Workbench;

#[test]
fn what_means_the_same_does_the_same() {
    let bench = Workbench::new();
    for number in 0..4 {
        bench.write("a", &[number]);
        bench.coral(&["add", "."]).succeeds();
        bench.coral(&["commit", "-am", &format!("step {number}")]).succeeds();
    }
    assert_eq!(bench.coral(&["log", "--oneline", "-3"]).succeeds().stdout.lines().count(), 3);
    assert_eq!(bench.coral(&["log", "-2", "--oneline"]).succeeds().stdout.lines().count(), 2);
    bench.coral(&["tag", "-a", "v1", "-m", "the first"]).succeeds();
    assert!(bench.coral(&["tag"]).succeeds().stdout.contains("the first"));
    bench.coral(&["checkout", "-b", "dev"]).succeeds();
    bench.write("d/b", b"1");
    bench.coral(&["add", "d"]).succeeds();
    bench.coral(&["rm", "-rf", "d"]).succeeds();
    bench.coral(&["add", "-A"]).fails(2, &["this is none", "`coral add .` takes"]);
}

#[test]
fn verbs_that_are_not_there_say_what_is() {
    let bench = Workbench::new();
    for (verb, way) in
        [("push", "no remote"), ("clone", "`cp -a`"), ("gc", "`coral repack`"), ("rebase", "`coral help`")]
    {
        let told = bench.coral(&[verb, "--hard", "HEAD"]).fails(2, &[&format!("coral has no `{verb}`"), way]);
        assert!(told.stderr.starts_with("error: ") && told.stdout.is_empty(), "{told:?}");
    }
    // Whatever it is, a typing error is told as such.
    bench.coral(&["comit"]).fails(2, &["commit"]);
    bench.coral(&["checkout", "a.bin"]).fails(1, &["a.bin", "`coral restore PATH`"]);
}
