//! `embed-scaler scaler.json < observations.jsonl`: what a scaler decides about each of them, and why.
use std::{error::Error, fs, io};

use birl_scaler::{Decider, Moment, ScalerSpec};

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: embed-scaler SCALER < observations.jsonl")?;
    let spec: ScalerSpec = serde_json::from_str(&fs::read_to_string(path)?)?;
    let mut decider = Decider::new(spec)?;
    for line in io::stdin().lines() {
        let Moment { at, seen, .. } = serde_json::from_str(&line?)?;
        let decision = decider.decide(&seen, at);
        println!("{decision}");
        decider.applied(&decision, Ok(()), at); // as if it had been carried out at once
    }
    Ok(())
}
