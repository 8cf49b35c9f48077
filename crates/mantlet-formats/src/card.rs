//! Model cards: what a README claims about data, licence, evaluation and limits, and what it leaves out.
//!
//! Long because the words of six languages stand here.

use crate::tree::{self, Event};

/// The facts of a model card.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Card {
    /// The licence it claims.
    pub license: Option<String>,
    /// The models it says it is made from.
    pub base: Vec<String>,
    /// The data sets it names.
    pub data: Vec<String>,
    /// What is there, of `ITEMS`.
    pub present: Vec<&'static str>,
    /// What is not.
    pub missing: Vec<&'static str>,
    /// Files of data it names that lie outside of its repository.
    pub outside: Vec<String>,
    /// The header does not parse.
    pub defect: Option<String>,
}

/// What a card is asked for: the name, keys of the header, words of headings in English, German, French, Spanish, Chinese
/// and Japanese.
struct Item {
    name: &'static str,
    keys: &'static [&'static str],
    words: &'static [&'static str],
}

const ITEMS: [Item; 9] = [
    Item {
        name: "licence",
        keys: &["license", "licence", "license_name", "license_link", "licenses"],
        words: &["license", "licence", "lizenz", "licencia", "许可", "許可", "授权", "授權", "ライセンス"],
    },
    Item {
        name: "training data",
        keys: &["datasets", "dataset", "training_data", "train_data"],
        words: &[
            "training data",
            "training dataset",
            "dataset",
            "data",
            "trainingsdaten",
            "datensatz",
            "datensätze",
            "données",
            "datos",
            "训练数据",
            "訓練資料",
            "訓練數據",
            "数据集",
            "資料集",
            "数据",
            "学習データ",
            "データセット",
        ],
    },
    Item {
        name: "evaluation",
        keys: &["model-index", "metrics", "eval_results", "evaluation", "results", "quantitative_analysis"],
        words: &[
            "evaluation",
            "results",
            "performance",
            "benchmark",
            "auswertung",
            "evaluierung",
            "ergebnis",
            "évaluation",
            "résultats",
            "evaluación",
            "resultados",
            "rendimiento",
            "评估",
            "評估",
            "评测",
            "評測",
            "性能",
            "结果",
            "結果",
            "評価",
            "ベンチマーク",
        ],
    },
    Item {
        name: "origin",
        keys: &["base_model", "model_name", "model_details", "model_description", "name", "developers"],
        words: &[
            "model details",
            "model description",
            "overview",
            "introduction",
            "modellbeschreibung",
            "überblick",
            "einführung",
            "beschreibung",
            "description du modèle",
            "présentation",
            "aperçu",
            "descripción",
            "introducción",
            "模型介绍",
            "模型介紹",
            "模型描述",
            "模型说明",
            "简介",
            "簡介",
            "概述",
            "モデル概要",
            "モデルの説明",
            "モデルの詳細",
            "概要",
            "はじめに",
        ],
    },
    Item {
        name: "intended use",
        keys: &["pipeline_tag", "intended_use", "intended_uses", "usage", "use_cases"],
        words: &[
            "intended use",
            "uses",
            "usage",
            "how to use",
            "use",
            "verwendung",
            "verwendungszweck",
            "nutzung",
            "anwendung",
            "utilisation",
            "usages",
            "uso",
            "cómo usar",
            "用途",
            "使用",
            "使い方",
            "使用方法",
            "利用",
        ],
    },
    Item {
        name: "limitations",
        keys: &["limitations", "limitation", "biases", "out_of_scope", "caveats", "tradeoffs"],
        words: &[
            "limitation",
            "bias",
            "risk",
            "out-of-scope",
            "einschränkung",
            "grenzen",
            "verzerrung",
            "risik",
            "limites",
            "biais",
            "risque",
            "limitaciones",
            "sesgo",
            "riesgo",
            "局限",
            "限制",
            "偏见",
            "偏見",
            "偏差",
            "风险",
            "風險",
            "制限",
            "制約",
            "限界",
            "バイアス",
            "リスク",
        ],
    },
    Item {
        name: "safety",
        keys: &["extra_gated_prompt", "safety", "ethical_considerations", "ethics", "considerations"],
        words: &[
            "safety",
            "ethic",
            "responsib",
            "misuse",
            "red team",
            "sicherheit",
            "ethik",
            "ethisch",
            "verantwort",
            "missbrauch",
            "sécurité",
            "éthique",
            "responsab",
            "seguridad",
            "ética",
            "安全",
            "伦理",
            "倫理",
            "责任",
            "責任",
            "安全性",
            "倫理的",
        ],
    },
    Item {
        name: "training procedure",
        keys: &[
            "training",
            "training_procedure",
            "hyperparameters",
            "training_parameters",
            "model_parameters",
        ],
        words: &[
            "training procedure",
            "training",
            "hyperparameter",
            "fine-tuning",
            "finetuning",
            "trainingsverfahren",
            "feinabstimmung",
            "entraînement",
            "hyperparamètre",
            "entrenamiento",
            "hiperparámetro",
            "训练",
            "訓練",
            "微调",
            "微調",
            "超参数",
            "学習",
            "トレーニング",
            "ファインチューニング",
            "ハイパーパラメータ",
        ],
    },
    Item {
        name: "contact or citation",
        keys: &["citation", "contact", "authors", "author", "owners", "references", "maintainers"],
        words: &[
            "citation",
            "contact",
            "author",
            "acknowledg",
            "cite",
            "kontakt",
            "autor",
            "zitat",
            "zitier",
            "danksagung",
            "auteur",
            "remerciement",
            "contacto",
            "cita",
            "agradecimiento",
            "引用",
            "联系",
            "聯絡",
            "聯繫",
            "作者",
            "致谢",
            "致謝",
            "連絡先",
            "お問い合わせ",
            "著者",
            "謝辞",
        ],
    },
];

/// Whether a file of this name, in lower case, is a card when it has a header: a README, in whatever language.
#[must_use]
pub fn is_readme(file: &str) -> bool {
    let Some(rest) = file.strip_prefix("readme").and_then(|rest| rest.strip_suffix(".md")) else {
        return false;
    };
    let language = rest.trim_start_matches(['.', '_', '-']);
    rest.is_empty() || language.len() < rest.len() && (2..=7).contains(&language.len())
}

/// The card of a file that is one by its name, whatever its form; `None` when it is none.
#[must_use]
pub fn named(file: &str, text: &str) -> Option<Card> {
    let stem = file.split('.').next().unwrap_or(file).replace(['_', '-', ' '], "");
    if stem != "modelcard" {
        return None;
    }
    match file.rsplit_once('.').map(|(_, ending)| ending) {
        Some("md" | "markdown" | "txt") => {
            analyse(text).or_else(|| (!text.trim().is_empty()).then(|| of("", text)))
        }
        Some("yaml" | "yml" | "json") => Some(of(text, "")),
        _ => None,
    }
}

/// The card in a README; `None` when it has no header and is therefore no card.
#[must_use]
pub fn analyse(text: &str) -> Option<Card> {
    let body = text.trim_start_matches('\u{feff}').strip_prefix("---")?;
    let body = body.strip_prefix("\r\n").or_else(|| body.strip_prefix('\n'))?;
    let end = body.find("\n---")?;
    Some(of(&body[..end], &body[end..]))
}

/// The card of a header, whose outermost keys count, or those below a single one, and of headings.
fn of(header: &str, rest: &str) -> Card {
    let mut card = Card::default();
    let mut keys: Vec<String> = Vec::new();
    let (mut depth, mut key, mut inner) = (0_u32, String::new(), String::new());
    let walked = tree::yaml(header, &mut |event, _| match event {
        Event::Key(name) if depth > 1 => {
            inner = name.chars().take(80).collect();
            // Of a document the chapters lie in chapters: `model_details`, `considerations`.
            if rest.is_empty() && depth <= 3 && keys.len() < 256 {
                keys.push(inner.clone());
            }
        }
        Event::Open { .. } => depth += 1,
        Event::Close => depth = depth.saturating_sub(1),
        Event::Key(name) if depth == 1 => {
            key = name.chars().take(80).collect();
            if keys.len() < 256 {
                keys.push(key.clone());
            }
            inner.clone_from(&key);
        }
        Event::Scalar { text, .. }
            if matches!(inner.as_str(), "path" | "data_files" | "data_dir")
                && card.outside.len() < 16
                && local_escape(text) =>
        {
            card.outside.push(text.chars().filter(|c| !c.is_control()).take(200).collect());
        }
        Event::Scalar { text, .. } if depth <= 2 && !text.is_empty() => match key.as_str() {
            "license" => card.license = Some(text.chars().take(80).collect()),
            "base_model" if card.base.len() < 16 => card.base.push(text.chars().take(200).collect()),
            "datasets" if card.data.len() < 16 => card.data.push(text.chars().take(200).collect()),
            _ => {}
        },
        _ => {}
    });
    card.defect = walked.defect;
    let headings: Vec<String> = rest
        .lines()
        .filter(|line| line.starts_with('#') || line.starts_with("**"))
        .take(400)
        .map(|line| line.to_lowercase())
        .collect();
    for item in ITEMS {
        let claimed = keys.iter().any(|key| item.keys.contains(&key.to_ascii_lowercase().as_str()));
        let told = headings.iter().any(|heading| item.words.iter().any(|word| heading.contains(word)));
        if claimed || told { &mut card.present } else { &mut card.missing }.push(item.name);
    }
    card
}

/// Whether a pattern of files leads out of the repository into the file system of whoever loads it.
fn local_escape(text: &str) -> bool {
    text.starts_with(['/', '~', '\\'])
        || text.starts_with("file:")
        || text.split(['/', '\\']).any(|part| part == "..")
}

impl Card {
    /// Hundredths of what is asked for that are there.
    #[must_use]
    pub fn score(&self) -> u32 {
        let all = self.present.len() + self.missing.len();
        (self.present.len() * 100).checked_div(all).unwrap_or(0) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_claimed_and_missing_is_told() {
        let card =
            analyse("---\nlicense: mit\nbase_model:\n- a/b\ndatasets: [x]\n---\n# Name\n## Limitations\n")
                .unwrap();
        assert_eq!(card.license.as_deref(), Some("mit"));
        assert_eq!(card.base, ["a/b"]);
        assert!(card.present.contains(&"limitations") && card.missing.contains(&"evaluation"));
        assert_eq!(card.score(), 44);
        assert_eq!(analyse("# a README\n---\n"), None);
    }

    #[test]
    fn headings_of_each_language_are_understood() {
        // All nine questions, in the words of one language each.
        for body in [
            "# Lizenz\n# Trainingsdaten\n# Auswertung\n# Modellbeschreibung\n# Verwendungszweck\n# Einschränkungen\n# Sicherheit\n# Feinabstimmung\n# Kontakt\n",
            "# Licence\n# Données\n# Évaluation\n# Présentation\n# Utilisation\n# Limites\n# Éthique\n# Entraînement\n# Auteurs\n",
            "# Licencia\n# Datos\n# Evaluación\n# Descripción\n# Uso\n# Limitaciones\n# Seguridad\n# Entrenamiento\n# Contacto\n",
            "# 许可证\n# 数据集\n# 评估\n# 模型介绍\n# 使用方法\n# 局限性\n# 安全\n# 训练\n# 引用\n",
            "# ライセンス\n# 学習データ\n# 評価\n# モデル概要\n# 使い方\n# 制限\n# 倫理\n# トレーニング\n# 連絡先\n",
        ] {
            let card = analyse(&format!("---\ntags: [x]\n---\n{body}")).unwrap();
            assert_eq!(card.missing, [""; 0], "{body}");
        }
        let card = analyse("---\ntags: [x]\n---\n# Beispiele\n# Exemples\n# 例子\n").unwrap();
        assert_eq!(card.present, [""; 0]);
    }

    #[test]
    fn cards_are_told_by_their_names_in_any_form() {
        let yaml = "model_details:\n  name: x\n  license: mit\nconsiderations:\n  limitations: [small]\n";
        let card = named("model_card.yaml", yaml).unwrap();
        assert!(
            ["licence", "origin", "limitations", "safety"].iter().all(|item| card.present.contains(item))
        );
        assert!(card.missing.contains(&"evaluation"));
        let json = r#"{"datasets": ["d"], "metrics": {"f1": 0.8}}"#;
        assert_eq!(named("modelcard.json", json).unwrap().present, ["training data", "evaluation"]);
        assert_eq!(named("model-card.md", "# Limitations\n").unwrap().present, ["limitations"]);
        assert_eq!(named("config.json", json), None);
        assert!(is_readme("readme.md") && is_readme("readme_zh.md") && is_readme("readme.pt-br.md"));
        assert!(!is_readme("readme.txt") && !is_readme("readmelater.md"));
    }
}
