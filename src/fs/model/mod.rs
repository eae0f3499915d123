//! The file system against a reference: random steps on both, and after each everything that can be seen is compared.
//!
//! Failures that were found are kept in `regressions.txt` as the steps that led to them, in their text form.

mod look;
mod reference;
mod step;
mod world;

use proptest::prelude::*;

use self::step::{Step, steps};
use self::world::World;

fn run(steps: &[Step]) {
    let mut world = World::new();
    for step in steps {
        world.apply(step);
        world.compare();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_steps_have_the_effects_that_the_reference_has(steps in steps()) {
        run(&steps);
    }
}

#[test]
fn failures_of_the_past_do_not_come_back() {
    for script in include_str!("regressions.txt").split("\n\n") {
        let lines = script.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let steps: Vec<Step> = lines.map(|line| line.parse().expect("a step")).collect();
        run(&steps);
    }
}

proptest! {
    #[test]
    fn steps_print_as_the_text_they_parse_from(steps in steps()) {
        for step in steps {
            prop_assert_eq!(step.to_string().parse(), Ok(step));
        }
    }
}
