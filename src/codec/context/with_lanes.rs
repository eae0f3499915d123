//! Which implementation of the lanes runs on this machine.

/// Runs `$function::<$generic.., L>` with the best implementation of [`Lanes`](super::lanes::Lanes).
macro_rules! with_lanes {
    ($function:ident::<$word:ident>($($arg:ident: $type:ty),* $(,)?) $(-> $ret:ty)?) => {{
        #[cfg(target_arch = "x86_64")]
        {
            use crate::codec::context::{lanes_avx2::Avx2, lanes_avx512::Avx512};
            #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c")]
            fn avx2<$word: Word>($($arg: $type),*) $(-> $ret)? {
                // SAFETY: the machine has what this function is compiled for.
                unsafe { $function::<$word, Avx2>($($arg),*) }
            }
            #[target_feature(
                enable = "avx2,bmi1,bmi2,lzcnt,popcnt,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512cd"
            )]
            fn avx512<$word: Word>($($arg: $type),*) $(-> $ret)? {
                // SAFETY: the machine has what this function is compiled for.
                unsafe { $function::<$word, Avx512>($($arg),*) }
            }
            match crate::codec::isa::Isa::active() {
                // SAFETY: `active` never exceeds what the machine was found to have.
                crate::codec::isa::Isa::Avx512 => return unsafe { avx512::<$word>($($arg),*) },
                // SAFETY: as above.
                crate::codec::isa::Isa::Avx2 => return unsafe { avx2::<$word>($($arg),*) },
                crate::codec::isa::Isa::Scalar => {}
            }
        }
        // SAFETY: arrays need no special instructions.
        unsafe { $function::<$word, [u32; crate::codec::context::rans::GROUP]>($($arg),*) }
    }};
}
pub(super) use with_lanes;
