//! The page of a sweep in a real browser (Debian's Chromium, driven by ChromeDriver): it loads without network and without an
//! error of its script, a point says what it is under the mouse, and filters hide points. Skipped, with a message, where there
//! is no browser.

use super::common;

use common::{arg, json};
use serde_json::{Value, json as object};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A browser under control.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.ask("DELETE", "", None);
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// One request of WebDriver; each has a connection of its own.
fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Value {
    let body = body.map(Value::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
    }
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

impl Browser {
    fn start(profile: &Path) -> Option<Self> {
        let driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut driver = driver.ok()?;
        let mut lines = BufReader::new(driver.stdout.take()?).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            line.strip_suffix('.')?.rsplit_once("on port ")?.1.parse().ok()
        })?;
        let flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            // Nothing can be reached: the page must need nothing.
            "--proxy-server=127.0.0.1:9",
            "--window-size=1240,1700",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = object!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let answer = request(port, "POST", "/session", Some(&wanted));
        let session = answer["value"]["sessionId"].as_str();
        let session = session.unwrap_or_else(|| panic!("the browser does not start: {answer}")).to_owned();
        Some(Self { driver, port, session })
    }

    fn ask(&self, method: &str, what: &str, body: Option<&Value>) -> Value {
        let answer = request(self.port, method, &format!("/session/{}{what}", self.session), body);
        let value = answer["value"].clone();
        assert!(value.get("error").is_none(), "{what}: {value}");
        value
    }

    /// What a piece of script returns.
    fn script(&self, text: &str) -> Value {
        self.ask("POST", "/execute/sync", Some(&object!({"script": text, "args": []})))
    }

    /// Moves the mouse to a place of the window.
    fn mouse(&self, x: i64, y: i64) {
        let to = object!({"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport"});
        let actions = object!({"actions": [{
            "type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": [to],
        }]});
        self.ask("POST", "/actions", Some(&actions));
    }
}

/// A sweep of the test's spec, and its page.
fn page(folder: &Path) -> String {
    std::fs::write(folder.join("small.toml"), include_str!("data/sweep/small.toml")).unwrap();
    std::fs::write(folder.join("small.json"), include_str!("data/sweep/small.json")).unwrap();
    let out = folder.join("out");
    json(&["sweep", arg(&folder.join("small.toml")), "-o", arg(&out), "--confirm", "none"]);
    format!("file://{}", out.join("report.html").display())
}

#[test]
fn the_page_works_in_a_browser_without_network() {
    let folder = tempfile::tempdir().unwrap();
    let Some(browser) = Browser::start(&folder.path().join("profile")) else {
        println!("skipped: no chromedriver (Debian: chromium, chromium-driver)");
        return;
    };
    browser.ask("POST", "/url", Some(&object!({"url": page(folder.path())})));
    let count = |selector: &str| {
        browser.script(&format!("return document.querySelectorAll('{selector}').length")).as_u64().unwrap()
    };
    let (all, front) = (count("circle.p"), count("circle.p.f"));
    assert!(
        all > 100 && front >= 3 && count("svg.parallel path.p") == all,
        "{all} points, {front} on the front"
    );
    assert_eq!(
        browser.script("return document.getElementById('left').textContent"),
        format!("{all} of {all} points shown")
    );

    // Hover: the point says what it is, in both plots it is marked, and it is silent when the mouse leaves.
    let at = "const c = document.querySelector('circle.p.f'); c.scrollIntoView({block: 'center'}); \
              const r = c.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2, c.dataset.p]";
    let place = browser.script(at);
    let (x, y) = (place[0].as_f64().unwrap() as i64, place[1].as_f64().unwrap() as i64);
    browser.mouse(x, y);
    let tip = browser.script("return document.getElementById('tip').innerText");
    let tip = tip.as_str().unwrap();
    for word in ["point ", "channels: ", "mhz: ", "decode.tokens_per_s: ", "GB/s"] {
        assert!(tip.contains(word), "{tip}");
    }
    assert_eq!(count(".pick"), 2);
    if let Ok(path) = std::env::var("ACCLLM_SCREENSHOT") {
        browser.script("window.scrollTo(0, 0)");
        let shot = browser.ask("GET", "/screenshot", None);
        std::fs::write(path, shot.as_str().unwrap()).unwrap();
    }
    browser.mouse(2, 2);
    assert_eq!(
        (count(".pick"), browser.script("return document.getElementById('tip').hidden")),
        (0, true.into())
    );

    // Filters hide points in both plots; the button brings them back.
    let choose = "const s = document.querySelector('select[data-axis=\"1\"]'); s.selectedIndex = 1; \
                  s.dispatchEvent(new Event('change'));";
    browser.script(choose);
    let left = count("circle.p:not(.off)");
    assert!(left > 0 && left < all && count("svg.parallel path.p:not(.off)") == left, "{left} of {all}");
    browser.script("document.getElementById('only-front').click()");
    assert!(count("circle.p:not(.off)") <= front);
    browser.script("document.getElementById('reset').click()");
    assert_eq!(count("circle.p:not(.off)"), all);
    browser.script("document.getElementById('copy').click()");

    let log = browser.ask("POST", "/se/log", Some(&object!({"type": "browser"})));
    assert_eq!(log, object!([]), "the browser complains");
}
