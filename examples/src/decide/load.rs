//! The scaler that is asked: its spec alone, a `CustomScaler`, or one of birl's configuration.

use std::path::Path;

use birl_scaler::ScalerSpec;
use serde::Deserialize;
use serde_json::Value;

use crate::config::{self, Complaint};
use crate::failure::Failure;

/// It is written by hand; anything larger is a mistake.
const MAX_BYTES: u64 = 4 * 1024 * 1024;

/// The resource around a spec.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Resource {
    #[serde(rename = "apiVersion", default)]
    _api_version: String,
    kind: String,
    #[serde(rename = "metadata", default)]
    _metadata: Value,
    spec: ScalerSpec,
    #[serde(rename = "status", default)]
    _status: Value,
}

pub(super) fn spec(path: &Path, name: Option<&str>) -> Result<ScalerSpec, Failure> {
    let place = path.display().to_string();
    let cannot =
        |error: std::io::Error| Failure::input(format!("cannot read the scaler {place}: {error}"));
    let metadata = std::fs::metadata(path).map_err(cannot)?;
    if metadata.is_file() && metadata.len() > MAX_BYTES {
        return Err(Failure::input(format!("{place} is larger than 4 MiB; is it a scaler?")));
    }
    let text = std::fs::read_to_string(path).map_err(cannot)?;
    let shape: Value = config::parse_yaml(&place, &text).map_err(Failure::input)?;
    if shape.get("scalers").is_some() {
        return of_configuration(path, name);
    }
    let spec = if shape.get("kind").is_some() || shape.get("spec").is_some() {
        let resource: Resource = config::parse_yaml(&place, &text).map_err(Failure::input)?;
        if resource.kind != "CustomScaler" {
            let message = format!("`kind` is `{}`, and must be `CustomScaler`", resource.kind);
            return Err(Failure::input(Complaint::new(&place, &text, None, message, None)));
        }
        resource.spec
    } else {
        config::parse_yaml(&place, &text).map_err(Failure::input)?
    };
    if let Some(name) = name.filter(|name| **name != *spec.target_ref.name) {
        let found = &spec.target_ref.name;
        return Err(Failure::input(format!("{place} is about `{found}`, not about `{name}`")));
    }
    spec.validate().map_err(|error| {
        Failure::input(Complaint::new(&place, &text, None, error.to_string(), None))
    })?;
    Ok(spec)
}

fn of_configuration(path: &Path, name: Option<&str>) -> Result<ScalerSpec, Failure> {
    let config = config::load(path)?;
    let place = path.display();
    let names: Vec<&str> = config.scalers.iter().map(|scaler| scaler.value.name()).collect();
    let help = match (name, &names[..]) {
        (None, [only]) => return chosen(&config, only),
        (Some(name), _) if names.contains(&name) => return chosen(&config, name),
        (None, _) => format!("`--name` says which: {}", names.join(", ")),
        (Some(name), _) => config::suggest(name, &names),
    };
    let message = match name {
        Some(name) => format!("{place} has no scaler `{name}`"),
        None => format!("{place} has {} scalers", names.len()),
    };
    Err(Failure::input(format!("{message}\n  = help: {help}")))
}

fn chosen(config: &config::Config, name: &str) -> Result<ScalerSpec, Failure> {
    let mut scalers = config.scalers.iter().filter(|scaler| scaler.value.name() == name);
    let spec = scalers.next().map(|scaler| scaler.value.spec.clone());
    spec.ok_or_else(|| Failure::own("a scaler has gone"))
}
