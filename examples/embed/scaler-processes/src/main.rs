//! Runs one worker for each unit of load: `cat /proc/loadavg | embed-scaler-processes sleep 60`
use std::{error::Error, io, time::Duration, time::SystemTime};

use birl_scaler::{Decider, LocalProcesses, MetricSpec, Milli, Observation, Sample};
use birl_scaler::{ScaleTarget, ScalerSpec, Signal};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let program = args.next().ok_or("usage: embed-scaler-processes PROGRAM ARG… < LOADS")?;
    let mut spec = ScalerSpec::new("workers", 1, 8);
    spec.metrics = vec![MetricSpec::average("load", Milli(1000))];
    (spec.cool_down.scale_up, spec.cool_down.scale_down) = (Duration::ZERO, Duration::ZERO);
    let mut decider = Decider::new(spec)?;
    let workers = LocalProcesses::builder("workers", program).args(args).build()?;
    workers.start(1).await?;
    for line in io::stdin().lines() {
        let load: f64 = line?.split(' ').next().unwrap_or("").parse()?;
        let (size, now) = (workers.size(), SystemTime::now());
        let share = Sample::new("machine", load / f64::from(size.ready));
        let seen = Observation::new(size).signal(Signal::new("load", vec![share], now));
        let decision = decider.decide(&seen, now);
        println!("{decision}");
        if decision.is_change() {
            workers.scale_to(decision.to, &decision).await?;
            decider.applied(&decision, Ok(()), now);
        }
    }
    Ok(workers.shutdown().await?)
}
