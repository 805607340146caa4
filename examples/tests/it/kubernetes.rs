//! A Deployment as a target: against a small server that speaks the paths of its `/scale`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Site, wait};

const OBJECT: &str = "/apis/apps/v1/namespaces/shop/deployments/web";

/// The Deployment `web` in `shop`: how many there are, and who wrote that.
type World = Arc<Mutex<(u64, String)>>;

fn serve(stream: TcpStream, world: &World) {
    let mut reader = BufReader::new(stream);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let mut world = world.lock().unwrap();
        let path = first.split(' ').nth(1).unwrap();
        if first.starts_with("PATCH") {
            let body: Value = serde_json::from_slice(&body).unwrap();
            *world = (body["spec"]["replicas"].as_u64().unwrap(), path.to_owned());
        }
        let size = json!({"replicas": world.0, "readyReplicas": world.0});
        let answer = match path.split('?').next() {
            Some(OBJECT) => json!({"metadata": {"name": "web"}, "status": size}),
            _ => {
                json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": world.0}, "status": size})
            }
        };
        drop(world);
        let answer = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if reader.get_mut().write_all((head + &answer).as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_deployment_is_scaled_by_its_scale() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let world: World = Arc::new(Mutex::new((2, String::new())));
    let of_server = Arc::clone(&world);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let world = Arc::clone(&of_server);
            std::thread::spawn(move || serve(stream, &world));
        }
    });
    let site = Site::new(&format!(
        r#"
mode: act
listen: 127.0.0.1:0
tick: 100ms
sources: [{{id: app, file: app.log, parse: json}}]
rules: [rules.yaml]
scalers:
  - spec: {{targetRef: {{name: web}}, minReplicas: 1, maxReplicas: 9}}
    kubernetes: {{namespace: shop, server: "{url}"}}
"#
    ));
    let rule = "rules: [{name: hot, when: level == 'error', then: \"scale('web', '+2')\"}]";
    site.write("rules.yaml", rule);
    site.write("app.log", "");
    let birl = site.start();
    birl.wait_for_metric(&["autoscaler_replicas", "web"], 2.0);
    site.append("app.log", "{\"level\":\"error\"}\n");
    let written = || {
        let (size, by) = world.lock().unwrap().clone();
        (size == 4).then_some(by)
    };
    let by = wait("a write", written).unwrap();
    assert!(
        by.starts_with(&format!("{OBJECT}/scale?")) && by.contains("fieldManager=birl"),
        "{by}"
    );
    birl.wait_for_metric(&["autoscaler_scale_actions_total", "scale_up", "success"], 1.0);
    assert_eq!(birl.stop(), Some(0));
}
