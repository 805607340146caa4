//! Which receivers an alert is routed to: as `amtool config routes test` says.

use std::time::SystemTime;

use birl_router::{Alert, Config, Labels, RouteScratch, RouteTree, Router};
use serde_json::{Value, json};

use crate::alertmanager::{Amtool, Directory};
use crate::dice::Dice;
use crate::generated::Case;
use crate::soak;

/// Label sets that each configuration is asked about.
const LABEL_SETS: u64 = 5;

/// birl's answers to the same questions.
struct Ours {
    names: Vec<String>,
    tree: RouteTree,
    router: Router,
}

impl Ours {
    fn new(config: &Value) -> Result<Self, String> {
        let read = |config: Value| {
            serde_json::from_value::<Config>(config).map_err(|error| error.to_string())
        };
        // Who is told shows whom it is routed to, if each is told at once, as often as a route leads to it.
        let mut told = config.clone();
        told["compat"] = json!("alertmanager");
        (told["route"]["group_wait"], told["route"]["group_by"]) = (json!("0s"), json!(["..."]));
        for receiver in told["receivers"].as_array_mut().expect("a list") {
            receiver["stdout_configs"] = json!([{}]);
        }
        let config = read(config.clone())?;
        let tree = RouteTree::new(&config).map_err(|error| error.to_string())?;
        let router = Router::new(read(told)?).map_err(|error| error.to_string())?;
        Ok(Self { names: config.receivers.into_iter().map(|r| r.name).collect(), tree, router })
    }

    fn by_tree(&self, labels: &Labels) -> Vec<String> {
        let mut scratch = RouteScratch::default();
        let found = self.tree.find_into(labels, &mut scratch).iter();
        found
            .map(|route| self.names[self.tree.routes()[*route as usize].receivers()[0]].clone())
            .collect()
    }

    fn by_router(&mut self, labels: &Labels) -> Vec<String> {
        let now = SystemTime::UNIX_EPOCH;
        let routed = self.router.route(Alert::firing(labels.clone(), now), now);
        routed.notifications.into_iter().map(|n| n.receiver).collect()
    }
}

#[test]
fn routes_are_those_of_amtool() {
    let (cases, seed) = soak::cases(250);
    let (amtool, directory) = (Amtool::new(), Directory::new());
    let (mut asked, mut several, mut at_the_root, mut nodes) = (0, 0, 0, 0);
    for number in 0.. {
        if asked >= cases {
            break;
        }
        let Case { config, label_sets } = Case::draw(&mut Dice::new(seed, number), LABEL_SETS);
        let context = || format!("REAL_SEED={seed}, configuration {number}: {config}");
        let file = directory.write("routes.yml", &config);
        amtool.check(&file).unwrap_or_else(|e| panic!("amtool refuses it: {e}\n{}", context()));
        let mut ours =
            Ours::new(&config).unwrap_or_else(|e| panic!("birl refuses it: {e}\n{}", context()));
        let matchers = ours.tree.routes()[1..].iter().map(|route| match route.matchers() {
            none if none.is_empty() => "default-route".to_owned(),
            some => some.to_string(),
        });
        assert_eq!(matchers.collect::<Vec<_>>(), amtool.matchers(&file), "{}", context());
        nodes += ours.tree.routes().len();
        for labels in label_sets {
            let theirs = amtool.receivers(&file, &labels);
            let pairs = labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let ours_labels: Labels = pairs.collect();
            assert_eq!(ours.by_tree(&ours_labels), theirs, "{labels:?}, {}", context());
            assert_eq!(ours.by_router(&ours_labels), theirs, "{labels:?}, {}", context());
            asked += 1;
            several += u64::from(theirs.len() > 1);
            at_the_root += u64::from(theirs == ["root"]);
        }
    }
    // A generator that draws nothing of interest proves nothing.
    assert!(
        several * 10 > asked && at_the_root * 2 < asked,
        "{several} and {at_the_root} of {asked}"
    );
    soak::keep(&format!(
        "routes: {asked} label sets by {nodes} routes, seed {seed}: 0 differences to `amtool config routes test`; {several} led to \
         several receivers, {at_the_root} to the root's alone"
    ));
}
