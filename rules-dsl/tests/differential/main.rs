//! Sets of rules by chance on records by chance: the rules that an index finds are those that hold when
//! every one is asked, and those of which the plain evaluator says so.
//!
//! `--pairs N`: how many pairs of a set and a record; `--seed S` plays the same again; `--write FILE`
//! keeps the result.

#![expect(clippy::print_stdout, reason = "a program that tells what it found")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use birl_rules_dsl::{Event, RuleSet, Scratch, SourceText};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

#[path = "../it/generated.rs"]
#[allow(dead_code, reason = "shared with the property tests")]
mod generated;

/// Rules of a set, and records that it judges.
const RULES: usize = 60;
const RECORDS: usize = 64;
/// Of so many records one is also explained, rule by rule.
const EXPLAINED: usize = 8;

struct Args {
    pairs: usize,
    seed: u64,
    write: Option<PathBuf>,
}

/// What was compared.
#[derive(Default)]
struct Tally {
    sets: usize,
    rules: usize,
    pairs: usize,
    matches: usize,
    explained: usize,
}

fn main() -> ExitCode {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    let args = match args(&asked) {
        Ok(Some(args)) => args,
        Ok(None) => return ExitCode::SUCCESS,
        Err(wrong) => {
            println!("{wrong}; there are --pairs N, --seed S, --write FILE");
            return ExitCode::from(2);
        }
    };
    println!("differential: {} pairs, seed {}", args.pairs, args.seed);
    let mut tally = Tally::default();
    let mut difference = None;
    while tally.pairs < args.pairs && difference.is_none() {
        let seed = args.seed.wrapping_add(tally.sets as u64);
        difference = play(seed, &mut tally).err();
    }
    let (verdict, word) = match &difference {
        None => ("ok: 0 differences", "ok"),
        Some(_) => ("FAILED", "FAILED"),
    };
    let Tally { sets, rules, pairs, matches, explained } = tally;
    let text = format!(
        "verdict: {verdict}\nseed: {}\n{pairs} pairs of a set and a record; {sets} sets of {rules} \
         rules in all, {matches} matches, {explained} verdicts explained\n",
        args.seed
    );
    print!("{text}{}", difference.as_deref().unwrap_or_default());
    let kept = args.write.map_or(Ok(()), |path| std::fs::write(path, text));
    if let Err(error) = &kept {
        println!("cannot write the result: {error}");
    }
    let failed = u8::from(difference.is_some() || kept.is_err());
    // As the runner of other tests says it, for who sums them up.
    println!("test result: {word}. {} passed; {failed} failed", 1 - failed);
    ExitCode::from(failed)
}

/// Reads the arguments. `None`: nothing is asked for, by a filter that means other tests.
fn args(asked: &[String]) -> Result<Option<Args>, String> {
    let mut args = Args { pairs: 3_000, seed: 1, write: None };
    let mut words = asked.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("`{word}` has no value"));
        let number = |text: &String| {
            text.parse::<u64>().map_err(|error| format!("`{word} {text}`: {error}"))
        };
        match word.as_str() {
            "--pairs" => args.pairs = number(value()?)? as usize,
            "--seed" => args.seed = number(value()?)?,
            "--write" => args.write = Some(value()?.into()),
            // What `cargo test -- …` says to every test program.
            "--test-threads" | "--skip" | "--color" | "--format" => drop(value()?),
            "--nocapture" | "--no-capture" | "--quiet" | "-q" | "--exact" | "--show-output" => {}
            "--list" => return Ok(None),
            word if word.starts_with('-') => return Err(format!("unknown argument `{word}`")),
            filter if "differential".contains(filter) => {}
            _ => return Ok(None),
        }
    }
    Ok(Some(args))
}

/// One set; the error is the first difference.
fn play(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let conditions = draw(&prop::collection::vec(generated::condition(), 1..RULES), &mut runner)?;
    let records = prop::collection::vec(generated::record(), RECORDS..=RECORDS);
    let records: Vec<Value> = draw(&records, &mut runner)?;
    let rules = generated::compiled(&conditions);
    let text = json!({ "rules": rules }).to_string();
    let rules = RuleSet::compile(&[SourceText::json("rules.json", text)]);
    let rules = Arc::new(rules.map_err(|error| format!("seed {seed}: {error}"))?);
    let mut scratch = Scratch::new();
    (tally.sets, tally.rules) = (tally.sets + 1, tally.rules + rules.len());
    for (number, record) in records.iter().enumerate() {
        let event = || [Event::new(record, UNIX_EPOCH)];
        let found = rules.matches(event(), &mut scratch);
        let scanned = rules.matches_by_scan(event(), &mut scratch);
        tally.pairs += 1;
        tally.matches += found.len();
        if !found.rule_names().eq(scanned.rule_names()) {
            let names =
                [found, scanned].map(|hits| hits.rule_names().collect::<Vec<_>>().join(" "));
            let [found, scanned] = names;
            return Err(format!("seed {seed}, on {record}\nfound   {found}\nscanned {scanned}\n"));
        }
        if number % EXPLAINED > 0 {
            continue;
        }
        for rule in rules.rules() {
            let holds = scanned.rule_names().any(|name| name == &*rule.name);
            let explained = rules.explain(&rule.name, record);
            tally.explained += 1;
            if explained.as_ref().is_none_or(|why| why.holds != holds) {
                return Err(format!(
                    "seed {seed}, on {record}: holds {holds}, but {explained:?}\n"
                ));
            }
        }
    }
    Ok(())
}

fn draw<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> Result<S::Value, String> {
    strategy.new_tree(runner).map(|tree| tree.current()).map_err(|error| error.to_string())
}
