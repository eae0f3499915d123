//! What goes wrong elsewhere, and what has to hold whatever the numbers are.

use super::*;
use proptest::prelude::*;

fn tensors(dtype: Dtype, base: &[f64], models: &[&[f64]]) -> Tensors {
    let models: Vec<Vec<f64>> = models.iter().map(|model| model.to_vec()).collect();
    Tensors::of(dtype, &[base.len() as u64], base, &models)
}

fn run(wanted: &Wanted, tensors: &Tensors, has_base: bool) -> Result<Vec<u8>> {
    wanted.run(tensors.facing("w", has_base, tensors.bytes.len() - 1), tensors.dtype)
}

#[test]
fn weights_that_add_up_to_zero_are_refused_and_a_weight_of_zero_is_one() {
    let tensors = tensors(Dtype::F64, &[0.0; 2], &[&[1.0, -3.0], &[5.0, 7.0]]);
    let wanted = Wanted::of(Method::Linear, &[], &[1.0, -1.0]);
    assert!(matches!(run(&wanted, &tensors, false), Err(Error::ZeroSum { tensor }) if tensor == "w"));
    let wanted = Wanted::of(Method::Linear, &[], &[0.1 + 0.2, -0.3]);
    assert!(matches!(run(&wanted, &tensors, false), Err(Error::ZeroSum { .. })));
    let wanted = Wanted::of(Method::Linear, &[(Parameter::Weight, 9.0)], &[0.0, 1.0]);
    assert_eq!(numbers(&run(&wanted, &tensors, false).expect("numbers")), [5.0, 7.0]);
}

#[test]
fn the_mean_of_two_is_not_one_and_half_the_other() {
    let tensors = tensors(Dtype::F32, &[0.0], &[&[1.0], &[2.0]]);
    let mean = run(&Wanted::of(Method::Linear, &[], &[]), &tensors, false).expect("a mean");
    assert_eq!(mean, 1.5f32.to_le_bytes());
}

#[test]
fn small_tensors_keep_one_element_at_least() {
    let tensors = tensors(Dtype::F64, &[0.0; 8], &[&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, -8.0]]);
    let wanted = Wanted::of(Method::Ties, &[(Parameter::Density, 0.1)], &[1.0]);
    assert_eq!(
        numbers(&run(&wanted, &tensors, true).expect("a tensor")),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -8.0]
    );
    let wanted = Wanted::of(Method::Ties, &[(Parameter::Density, 0.0)], &[1.0]);
    assert_eq!(numbers(&run(&wanted, &tensors, true).expect("a tensor")), [0.0; 8]);
}

#[test]
fn exactly_so_many_are_kept_and_of_equals_the_first() {
    let tensors = tensors(Dtype::F64, &[0.0; 5], &[&[2.0, -2.0, 1.0, 2.0, -2.0]]);
    let wanted = Wanted::of(Method::Ties, &[(Parameter::Density, 0.6)], &[1.0]);
    assert_eq!(numbers(&run(&wanted, &tensors, true).expect("a tensor")), [2.0, -2.0, 0.0, 2.0, 0.0]);
}

#[test]
fn a_sum_of_zero_elects_plus() {
    let tensors = tensors(Dtype::F64, &[10.0], &[&[13.0], &[7.0]]);
    let wanted = Wanted::of(Method::Ties, &[], &[1.0, 1.0]);
    assert_eq!(numbers(&run(&wanted, &tensors, true).expect("a tensor")), [13.0]);
}

#[test]
fn rows_of_one_element_have_no_ranks() {
    let numbers_of = vec![1.0; 6];
    let tensors = Tensors::of(Dtype::F64, &[6, 1], &[0.0; 6], &[numbers_of]);
    let all = [(Parameter::Density, 0.5), (Parameter::Epsilon, 0.2)];
    let made = numbers(&run(&Wanted::of(Method::Della, &all, &[1.0]), &tensors, true).expect("a tensor"));
    assert!(made.iter().all(|number| number.is_finite()), "{made:?}");
}

#[test]
fn probabilities_that_leave_their_range_are_refused() {
    let tensors = tensors(Dtype::F64, &[0.0; 4], &[&[1.0; 4]]);
    for (density, epsilon) in [(0.1, 0.15), (0.9, 0.15)] {
        let all = [(Parameter::Density, density), (Parameter::Epsilon, epsilon)];
        let refused = run(&Wanted::of(Method::Della, &all, &[1.0]), &tensors, true);
        assert!(matches!(refused, Err(Error::OutOfRange { parameter: "epsilon", .. })), "{refused:?}");
    }
    let refused = run(&Wanted::of(Method::Ties, &[(Parameter::Density, 1.5)], &[1.0]), &tensors, true);
    assert!(matches!(refused, Err(Error::OutOfRange { parameter: "density", .. })));
}

#[test]
fn the_length_of_what_is_kept_is_scaled_up_as_it_was_or_by_the_density() {
    let differences: Vec<f64> = (0..1000).map(|number| f64::from(number) / 999.0 - 0.5).collect();
    let tensors = Tensors::of(Dtype::F64, &[1000], &[0.0; 1000], std::slice::from_ref(&differences));
    let wanted = Wanted::of(Method::DareLinear, &[(Parameter::Density, 0.1)], &[1.0]);
    let length = |numbers: &[f64]| numbers.iter().map(|number| number.abs()).sum::<f64>();
    let made = numbers(&run(&wanted, &tensors, true).expect("a tensor"));
    assert!((length(&made) - length(&differences)).abs() < 1e-9);
    let wanted = Wanted { rescale: Rescale::Inverse, ..wanted };
    let by_density = numbers(&run(&wanted, &tensors, true).expect("a tensor"));
    for (one, other) in by_density.iter().zip(&differences) {
        assert!(*one == 0.0 || *one == other / 0.1);
    }
}

#[test]
fn small_changes_are_not_undone_by_a_floor() {
    let change = 1e-5;
    let tensors = tensors(Dtype::F64, &[1.0; 4], &[&[1.0 + change; 4], &[1.0 + change; 4]]);
    let made = numbers(&run(&Wanted::of(Method::ModelStock, &[], &[]), &tensors, true).expect("a tensor"));
    assert!(made.iter().all(|number| (number - 1.0 - change).abs() < 1e-15), "{made:?}");
    // Nothing changed: there is nothing to divide by.
    let same = super::faults::tensors(Dtype::F64, &[1.0; 4], &[&[1.0; 4], &[1.0; 4]]);
    let made = numbers(&run(&Wanted::of(Method::ModelStock, &[], &[]), &same, true).expect("a tensor"));
    assert_eq!(made, [1.0; 4]);
}

#[test]
fn models_on_opposite_sides_are_told_of_and_kept_between_if_wanted() {
    let tensors = tensors(Dtype::F64, &[0.0, 0.0], &[&[1.0, 0.1], &[-1.0, 0.1]]);
    let wanted = Wanted::of(Method::ModelStock, &[], &[]);
    let facing = tensors.facing("w", true, 2);
    let prepared = wanted.prepared(&facing).expect("prepared");
    assert!(matches!(prepared.remark, Some(Remark::Beyond(t)) if t < -90.0), "{prepared:?}");
    let made = numbers(&run(&Wanted { clamp: true, ..wanted.clone() }, &tensors, true).expect("a tensor"));
    assert_eq!(made, [0.0, 0.0]);
    let opposite = super::faults::tensors(Dtype::F64, &[0.0], &[&[1.0], &[-1.0]]);
    assert!(matches!(run(&wanted, &opposite, true), Err(Error::Undefined { .. })));
    assert_eq!(numbers(&run(&Wanted { clamp: true, ..wanted }, &opposite, true).expect("a tensor")), [0.0]);
}

#[test]
fn an_arc_between_fine_tunes_of_one_base_is_a_line_and_said_to_be() {
    let tensors = tensors(Dtype::F64, &[0.0; 2], &[&[1.0, 0.0], &[1.0, 0.01]]);
    let facing = tensors.facing("w", false, 2);
    let wanted = Wanted::of(Method::Slerp, &[(Parameter::T, 0.5)], &[]);
    assert_eq!(wanted.prepared(&facing).expect("prepared").remark, Some(Remark::Line));
    assert_eq!(numbers(&run(&wanted, &tensors, false).expect("a tensor")), [1.0, 0.005]);
    let wanted = Wanted::of(Method::Nuslerp, &[], &[]);
    assert_eq!(wanted.prepared(&facing).expect("prepared").remark, None);
    // A vector without a length is at a right angle to all.
    let zero = super::faults::tensors(Dtype::F64, &[0.0; 2], &[&[0.0, 0.0], &[3.0, 4.0]]);
    let made = run(&Wanted::of(Method::Slerp, &[(Parameter::T, 1.0)], &[]), &zero, false);
    assert_eq!(numbers(&made.expect("a tensor")), [3.0, 4.0]);
    let missing = run(&Wanted::of(Method::Slerp, &[], &[]), &zero, false);
    assert!(matches!(missing, Err(Error::Missing { parameter: "t", .. })));
}

#[test]
fn what_is_no_number_goes_through_elements_and_stops_what_depends_on_all() {
    let tensors = tensors(Dtype::F32, &[0.0; 2], &[&[f64::NAN, 1.0], &[1.0, f64::INFINITY]]);
    let made = run(&Wanted::of(Method::Linear, &[], &[]), &tensors, false).expect("a tensor");
    assert_eq!(made, [0x00, 0x00, 0xc0, 0x7f, 0x00, 0x00, 0x80, 0x7f]);
    for (method, has_base) in
        [(Method::Nuslerp, false), (Method::ModelStock, true), (Method::Ties, true), (Method::DareTies, true)]
    {
        let wanted = Wanted::of(method, &[(Parameter::Density, 0.5)], &[]);
        let refused = run(&wanted, &tensors, has_base);
        assert!(
            matches!(refused, Err(Error::NotFinite { ref tensor }) if tensor == "w"),
            "{method:?} {refused:?}"
        );
    }
}

#[test]
fn what_is_too_large_for_the_result_is_counted_and_refused() {
    let tensors = tensors(Dtype::F16, &[0.0; 3], &[&[60000.0, 1.0, -60000.0], &[60000.0, 2.0, -60000.0]]);
    let wanted = Wanted::of(Method::Linear, &[(Parameter::Normalize, 0.0)], &[]);
    let refused = run(&wanted, &tensors, false);
    assert!(matches!(refused, Err(Error::Overflow { elements: 2, dtype: Dtype::F16, .. })), "{refused:?}");
    let f8 = super::faults::tensors(Dtype::F8E4M3, &[0.0], &[&[448.0], &[448.0]]);
    assert!(matches!(run(&wanted, &f8, false), Err(Error::Overflow { elements: 1, .. })));
}

#[test]
fn a_negative_zero_stays_one() {
    let tensors = tensors(Dtype::F32, &[-0.0], &[&[-0.0], &[-0.0]]);
    let minus = (-0.0f32).to_le_bytes();
    assert_eq!(run(&Wanted::of(Method::Linear, &[], &[]), &tensors, false).expect("a tensor"), minus);
}

#[test]
fn another_number_of_models_is_refused() {
    let tensors = tensors(Dtype::F32, &[0.0], &[&[1.0], &[2.0], &[3.0]]);
    let refused = run(&Wanted::of(Method::Slerp, &[(Parameter::T, 0.5)], &[]), &tensors, false);
    assert!(matches!(refused, Err(Error::Operands { method: "slerp", given: 3, .. })));
}

#[test]
fn tensors_without_elements_and_without_axes_are_made() {
    for (shape, count) in [(vec![], 1), (vec![0], 0), (vec![3, 0], 0), (vec![1], 1), (vec![1, 1], 1)] {
        let numbers_of = vec![2.0; count];
        let tensors = Tensors::of(Dtype::F32, &shape, &vec![1.0; count], &[numbers_of.clone(), numbers_of]);
        for method in [
            Method::Linear,
            Method::Nuslerp,
            Method::ModelStock,
            Method::Ties,
            Method::DareTies,
            Method::Della,
        ] {
            let all = [(Parameter::Density, 0.5), (Parameter::Flatten, 0.0), (Parameter::FilterWise, 1.0)];
            let has_base = method.base() == Base::Required;
            let made = run(&Wanted::of(method, &all, &[]), &tensors, has_base).expect("a tensor");
            assert_eq!(made.len(), 4 * count, "{method:?} {shape:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_fine_tune_comes_back_from_its_difference_bit_for_bit(seed: u64, scale in 1e-6f64..1e3) {
        let mut random = Random::new(seed);
        let mut some = |scale: f64| (0..500).map(|_| f64::from(random.symmetric()) * scale).collect::<Vec<f64>>();
        for dtype in [Dtype::Bf16, Dtype::F16, Dtype::F32] {
            let tensors = Tensors::of(dtype, &[500], &some(scale), &[some(scale)]);
            let wanted = Wanted::of(Method::TaskArithmetic, &[], &[1.0]);
            prop_assert_eq!(&run(&wanted, &tensors, true).expect("a tensor"), &tensors.bytes[1]);
            let wanted = Wanted::of(Method::TaskArithmetic, &[], &[0.0]);
            prop_assert_eq!(&run(&wanted, &tensors, true).expect("a tensor"), &tensors.bytes[0]);
            let wanted = Wanted::of(Method::DareTies, &[], &[1.0]);
            prop_assert_eq!(&run(&wanted, &tensors, true).expect("a tensor"), &tensors.bytes[1]);
        }
    }

    #[test]
    fn weights_that_are_divided_by_their_sum_have_no_scale(seed: u64) {
        let mut random = Random::new(seed);
        let mut some = || (0..100).map(|_| f64::from(random.symmetric())).collect::<Vec<f64>>();
        let tensors = Tensors::of(Dtype::F32, &[100], &[0.0; 100], &[some(), some()]);
        let one = run(&Wanted::of(Method::Linear, &[], &[0.25, 0.75]), &tensors, false).expect("a tensor");
        let other = run(&Wanted::of(Method::Linear, &[], &[1.0, 3.0]), &tensors, false).expect("a tensor");
        prop_assert_eq!(one, other);
    }

    #[test]
    fn the_ends_of_an_arc_are_the_models(seed: u64) {
        let mut random = Random::new(seed);
        let mut some = || (0..300).map(|_| f64::from(random.symmetric())).collect::<Vec<f64>>();
        let tensors = Tensors::of(Dtype::F32, &[300], &[0.0; 300], &[some(), some()]);
        for (t, end) in [(0.0, 1), (1.0, 2)] {
            let made = run(&Wanted::of(Method::Slerp, &[(Parameter::T, t)], &[]), &tensors, false);
            prop_assert_eq!(&made.expect("a tensor"), &tensors.bytes[end]);
        }
    }
}
