//! A way to the API server on which answers can be put in the server's place.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use harness::control_plane::ControlPlane;
use kube::Client;
use serde_json::json;

/// A proxy to a control plane's API server, as an administrator.
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    faults: Mutex<Vec<Fault>>,
    passed: Mutex<(u64, u64)>,
}

/// What is answered in the server's place.
#[derive(Debug, Clone)]
struct Fault {
    method: Method,
    ending: &'static str,
    said: Said,
    left: usize,
}

#[derive(Debug, Clone, Copy)]
enum Said {
    Status(StatusCode),
    /// No answer ever comes.
    Nothing,
}

impl Proxy {
    /// A proxy that changes nothing.
    pub(crate) async fn start(plane: &ControlPlane) -> Self {
        let shared =
            Arc::new(Shared { client: plane.client().await, faults: Mutex::default(), passed: Mutex::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = axum::Router::new().fallback(pass).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Self { address, shared }
    }

    /// The next `times` requests of that method for a path that ends so are answered with this.
    pub(crate) fn answer(&self, method: Method, ending: &'static str, status: StatusCode, times: usize) {
        let said = Said::Status(status);
        self.shared.faults.lock().unwrap().push(Fault { method, ending, said, left: times });
    }

    /// Requests of that method for a path that ends so are taken, and never answered, until further notice.
    pub(crate) fn hold(&self, method: Method, ending: &'static str) {
        self.shared.faults.lock().unwrap().push(Fault { method, ending, said: Said::Nothing, left: usize::MAX });
    }

    /// Later requests are answered by the server.
    pub(crate) fn hold_no_more(&self) {
        self.shared.faults.lock().unwrap().clear();
    }

    /// How many of those answers have not been given yet.
    pub(crate) fn left(&self) -> usize {
        self.shared.faults.lock().unwrap().iter().map(|fault| fault.left).sum()
    }

    /// How many requests have come, and how many of those change something.
    pub(crate) fn passed(&self) -> (u64, u64) {
        *self.shared.passed.lock().unwrap()
    }

    /// Writes a kubeconfig that leads here.
    pub(crate) fn kubeconfig(&self, path: &Path) -> PathBuf {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \
             \"http://{}\"}}}}]\nusers: [{{name: u, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: \
             u}}}}]\n",
            self.address
        );
        std::fs::write(path, text).unwrap();
        path.to_owned()
    }
}

impl Shared {
    fn count(&self, request: &Request) {
        let mut passed = self.passed.lock().unwrap();
        passed.0 += 1;
        passed.1 += u64::from(request.method() != Method::GET);
    }

    fn fault(&self, request: &Request) -> Option<Said> {
        let mut faults = self.faults.lock().unwrap();
        let matches = |fault: &&mut Fault| {
            fault.left > 0 && fault.method == request.method() && request.uri().path().ends_with(fault.ending)
        };
        let fault = faults.iter_mut().find(matches)?;
        fault.left -= 1;
        Some(fault.said)
    }
}

async fn pass(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.count(&request);
    if let Some(said) = shared.fault(&request) {
        let Said::Status(status) = said else { return std::future::pending().await };
        let answer = json!({
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status.as_u16(),
            "message": "said in the server's place", "reason": "Unknown",
        });
        return Response::builder()
            .status(status)
            .header("Retry-After", "1")
            .body(Body::from(answer.to_string()))
            .unwrap();
    }
    let (mut head, body) = request.into_parts();
    head.headers.remove("host");
    let body = axum::body::to_bytes(body, 8 << 20).await.unwrap().to_vec();
    match shared.client.send(http::Request::from_parts(head, body.into())).await {
        Ok(response) => response.map(Body::new),
        Err(error) => Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::from(error.to_string())).unwrap(),
    }
}
