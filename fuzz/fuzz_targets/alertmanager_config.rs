//! `alertmanager.yml`: refused with a place, or a configuration that a router takes, that serde writes and reads again, and
//! that lints look at.
#![no_main]

use birl_router::{AlertmanagerFile, Config, Router, lint};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // YAML breaks lines at returns as well.
    let lines = text.matches(['\n', '\r']).count() as u32 + 2;
    match AlertmanagerFile::parse(text) {
        Ok(file) => {
            for notice in &file.notices {
                assert!((1..=lines).contains(&notice.position.line), "{notice}");
            }
            for lint in lint::check(&file.config) {
                assert!(!lint.remedy.is_empty() && file.position(&lint.place).is_some(), "{lint}");
            }
            let json = serde_json::to_string(&file.config).unwrap();
            let again: Config = serde_json::from_str(&json).unwrap();
            assert_eq!(serde_json::to_string(&again).unwrap(), json);
            Router::new(file.config).unwrap();
        }
        Err(error) => {
            assert!(!error.place().is_empty() && !error.message().is_empty());
            assert!(error.position().is_none_or(|at| (1..=lines).contains(&at.line)), "{error}");
        }
    }
});
