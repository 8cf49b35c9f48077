//! The words that orders to a model are made of, and the orders they make.

/// Words of one class: its letter, then a regular expression of whole words without accents.
pub(super) const CLASSES: [(u8, &str); 29] = [
    // Setting aside.
    (
        b'V',
        r"ignor(?:e|es|ed|ing|ier\w*|ez|er|a|ad|en|are|ando|uj\w*)|disregard\w*|forget\w*|forgot|overrid\w*|overrule\w*|neglect\w*|discard\w*|scrap|unlearn|vergiss\w*|vergesse\w*|missacht\w*|verwirf|oubli(?:e|ez|er|ons)|neglige[zr]?|olvid(?:a|e|ad|ar|en|es)|descart(?:a|e|ar|en)|dimentic(?:a|are|ate|hi)|trascura\w*|esque(?:ca|ce|cer)|desconsider(?:e|a|ar)|negeer\w*|vergeet|zignoruj|zapomnij|glem|ignorera|glom|unut\w*|yoksay\w*|игнорир\w*|забудь\w*|проигнорир\w*|отбрось|تجاهل\w*|انس|忽略|无视|忘记|忘掉|無視\S*|忘れ\S*|무시\S*|잊어\S*",
    ),
    // Getting round.
    (b'Y', r"bypass\w*|circumvent\w*|evade|overcome|umgeh\w*|contourn\w*|aggira\w*|contorn\w*|обойди"),
    // Which came before.
    (
        b'Q',
        r"previous\w*|prior|above|preceding|earlier|former|foregoing|initial\w*|original\w*|existing|past|before|first|beginning|vorherig\w*|bisherig\w*|vorangegangen\w*|vorigen|obig\w*|oben\w*|fruher\w*|ursprunglich\w*|anfanglich\w*|precedent\w*|anterieur\w*|dessus|anterior\w*|previ(?:a|as|o|os)|arriba|initiales?|iniciales|sopra|eerdere|vorige|bovenstaande|poprzedni\w*|wczesniejsz\w*|onceki|yukaridaki|предыдущ\w*|прежн\w*|прошл\w*|السابقة|之前|以上|上述|上面|先前|以前|上記|これまで|이전\S*|위의|앞의",
    ),
    // All of it.
    (
        b'A',
        r"all|every|everything|alle|alles|aller|allen|samtliche\w*|tout|toute?s|tous|todos?|todas?|tutt[oiae]|tudo|todo|wszystk\w*|tum|все|всё|всех|كل|所有|全部|一切|すべて|全て|모든",
    ),
    (b'a', r"any|anything|whatever|whatsoever"),
    // Whose.
    (
        b'P',
        r"your|ur|deine\w*|eure\w*|ihre\w*|tes|vos|votre|tus?|sus?|tuas?|tue|vostr[eio]|suas?|jouw|twoje|twoich|senin|твои|свои|ваши|你的|您的|あなたの",
    ),
    // What one is told.
    (
        b'N',
        r"instructions?|instruct|directives?|directions?|commands?|orders|task|tasks|context|conversation|anweisung\w*|auftrag\w*|aufgaben?|instruktion\w*|angaben|befehl\w*|vorgaben|informationen|consignes?|ordres?|taches?|instrucciones|ordenes|indicaciones|directrices|tareas?|istruzion\w*|ordini|direttive|compit[oi]|instrucoes|ordens|diretrizes|opdracht\w*|instructies|polecen\w*|instrukcj\w*|talimat\w*|komut\w*|инструкц\w*|указани\w*|команд\w*|التعليمات|الأوامر|指令|指示|命令|说明|지시\S*|명령\S*",
    ),
    (
        b'M',
        r"prompts?|preprompt|systemprompt|metaprompt|eingabeaufforderung\w*|提示|提示词|プロンプト\S*|프롬프트\S*|промпт\w*",
    ),
    // Rules as such.
    (
        b'B',
        r"rules?|guidelines?|polic(?:y|ies)|constraints?|restrictions?|programming|training|protocols?|safeguards?|regeln?|richtlinien|einschrankungen|regles?|restrictions|reglas|restricciones|politicas|regole|restrizioni|regras|restricoes|regels|zasady|kural\w*|правил\w*|ограничени\w*|القواعد|规则|限制|ルール\S*|규칙\S*",
    ),
    // Limits of conduct.
    (
        b'F',
        r"limitations?|limits|filters?|filtering|censorship|censor|ethics|ethical|morals?|morality|boundaries|legality|laws?|moderation|safety|warnings?|disclaimers?|filter|zensur|moral|ethisch\w*|limites?|limitaciones|filtros?|censura|etica|filtri|фильтр\w*|цензур\w*|道德|审查",
    ),
    // Of the system.
    (
        b'S',
        r"system|hidden|secret|internal|confidential|developer|preset|underlying|base|geheim\w*|versteckt\w*|systeme|cache[es]*|secrets?|secret[oa]s?|sistema|ocult[oa]s?|interno|nascost[oaei]|segret[oaei]|系统|システム|системн\w*|시스템",
    ),
    // Giving out.
    (
        b'R',
        r"show|reveal\w*|repeat|print|output|display|tell|give|list|leak|share|expose|recite|disclose|summari[sz]e|translate|encode|return|provide|write|copy|echo|dump|spell|zeig\w*|nenn\w*|verrat\w*|wiederhol\w*|gib|gebe\w*|montre[zr]?|revele[zr]?|repete[zr]?|affiche[zr]?|donne[zr]?|dis|muestra\w*|revela\w*|repite|dime|dame|imprime|mostra\w*|rivela\w*|ripeti|dimmi|mostre|revele|repita|diga|pokaz|powtorz|goster|покажи|повтори|выведи|раскрой|显示|重复|输出|告诉|表示|教えて|보여\S*|알려\S*",
    ),
    (b'W', r"what|whats|which|how|were|was|welche\w*|lauten|quelles?|quels?|cuales?|quali|quais|какие"),
    (
        b'L',
        r"text|texts|words|lines?|content|contents|messages?|message|sentences?|document|paragraph|texte[ns]?|textos?|testo",
    ),
    (
        b'T',
        r"passwords?|passphrase|passcode|credentials?|key|code|passwort\w*|kennwort|schlussel|motdepasse|contrasena|clave|chiave|senha|пароль|密码|パスワード\S*",
    ),
    (
        b'J',
        r"said|told|learned|learnt|wrote|written|gesagt|gelernt|geschrieben|dit|appris|dijo|dicho|detto|disse|know|knew|wissen|weisst",
    ),
    (
        b'X',
        r"no|not|never|without|dont|doesnt|don|wont|cannot|cant|free|freed|unbound|regardless|neither|nor|mustnt|refrain|avoid|lack|lacks|ohne|nie|niemals|nicht|kein\w*|sans|jamais|aucune?|sin|nunca|jamas|ningun\w*|senza|mai|nessun\w*|sem|nenhuma?|без|никогда|没有|不",
    ),
    (
        b'D',
        r"refuse|refuses|refusing|decline|declines|reject|rejects|deny|denies|apologi[sz]e|apologi[sz]ing|sorry|apology|apologies|warn|disclaim|lecture|verweiger\w*|ablehn\w*|entschuldig\w*|refuser|negar\w*|rechazar\w*|rifiut\w*|recusar\w*|отказ\w*",
    ),
    (
        b'Z',
        r"act|acting|pretend|pretending|roleplay|role|simulate|emulate|imagine|behave|impersonate|become|play|playing|portray|stell\w*|spiel\w*|tu(?:e|st)|agis|fais|finge|actua|simula|immagina|fingi|finja|atue|представь|притворись|扮演|假装",
    ),
    (
        b'I',
        r"ai|ais|chatbot|bot|assistant|gpt|chatgpt|model|llm|openai|anthropic|claude|gemini|bard|character|persona|personality|alter|machine|entity|being|openais|ki|ia|assistent\w*|chatbots",
    ),
    (
        b'U',
        r"unfiltered|uncensored|unrestricted|unlimited|amoral|immoral|unethical|unaligned|unhinged|jailbroken|jailbreak\w*|liberated|unmoderated|dan|uneingeschrankt\w*|ungefiltert\w*",
    ),
    (
        b'G',
        r"dev|debug|debugging|maintenance|admin|administrator|god|root|sudo|evil|opposite|diagnostic|override|test",
    ),
    (b'K', r"mode|modus|modo|modalita|режим\w*|模式|モード\S*"),
    (
        b'E',
        r"enable|enabled|activate|activated|enter|entering|switch|unlock|initiate|engage|aktivier\w*|active[zr]|activa\w*|attiva\w*|ative",
    ),
    (b'O', r"you|youre|u|youll|du|sie|vous|usted|ты|вы|你|您"),
    (b'H', r"now|henceforth|onwards?|hereafter|jetzt|nun|maintenant|ahora|adesso|agora|теперь|现在"),
    (b'w', r"new|updated|revised|neue\w*|nouve(?:au|lles?)|nuev[oa]s?|nuov[oaie]|nov[oa]s?|новы\w*|新的|新"),
    (
        b'C',
        r"answer|answers|comply|complies|obey|obeys|fulfill?|follow|follows|generate|generates|respond|responds|respond\w*|say|says|do",
    ),
    (
        b'h',
        r"illegal|immoral\w*|unethical\w*|harmful|offensive|explicit|violent|dangerous|inappropriate|hateful|derogatory|sexual|controversial|toxic|malicious|profanity|profane|swear|curse|unlawful|disturbing",
    ),
];

/// What a pattern speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Injection,
    Jailbreak,
}
use Sort::{Injection, Jailbreak};

/// Patterns over classes: letters, sets of letters, and before a letter the most words that may stand between.
pub(super) const PATTERNS: [(Sort, f64, &str); 41] = [
    (Injection, 2.0, "V4[QPS]4[NMB]"),
    (Injection, 2.0, "V3[Aa]3[NM]"),
    (Injection, 1.0, "V3[Aa]3B"),
    (Injection, 0.8, "V2[NM]"),
    (Injection, 1.2, "V2[Aa]5[QJ]"),
    (Injection, 0.8, "V2Q"),
    (Injection, 0.5, "V1A"),
    (Injection, 1.5, "[QP]2[NMB]V"),
    (Injection, 1.5, "A2[QP]3[NMB]3V"),
    (Injection, 1.5, "Y3P3[NMBF]"),
    (Injection, 1.5, "R5[SP]2M"),
    (Injection, 1.5, "R5S2[NMB]"),
    (Injection, 1.2, "R4P2[QS]1[NMB]"),
    (Injection, 1.0, "R3PN"),
    (Injection, 0.7, "R4Q1[NM]"),
    (Injection, 1.2, "W2[SP]2[NM]"),
    (Injection, 1.0, "R3A3Q"),
    (Injection, 0.6, "R2L2Q"),
    (Injection, 0.8, "[RW]3P2T"),
    (Injection, 0.6, "[RW]3T"),
    (Injection, 0.5, "wN"),
    (Injection, 0.5, "H3wN"),
    (Injection, 0.6, "Pw[NB]"),
    (Injection, 1.2, "O4[GU]K"),
    (Injection, 0.6, "E2[GSU]K"),
    (Injection, 0.6, "[GSU]K2E"),
    (Jailbreak, 0.4, "X5[FB]"),
    (Jailbreak, 0.3, "X5[FB]30X5[FB]"),
    (Jailbreak, 0.2, "[Z]8I"),
    (Jailbreak, 0.4, "X4D"),
    (Jailbreak, 0.3, "X4D40X4D"),
    (Jailbreak, 0.6, "U4I"),
    (Jailbreak, 0.3, "U"),
    (Jailbreak, 0.3, "I3[BF]"),
    (Jailbreak, 1.2, "C[Aa]H"),
    (Jailbreak, 0.2, "H1O"),
    (Jailbreak, 0.3, "X3[BF]40I"),
    (Jailbreak, 0.3, "C2[Aa]40h"),
    (Jailbreak, 0.3, "h4h"),
    (Jailbreak, 0.3, "[Aa]6h30X4[DFB]"),
    (Jailbreak, 0.6, "UK"),
];

/// Marks by which chat formats tell who speaks: in a user's text they speak for somebody else.
pub(super) const FORGED: [&str; 13] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|system|>",
    "<|start_header_id|>",
    "<|eot_id|>",
    "<|endoftext|>",
    "[/inst]",
    "<<sys>>",
    "</system>",
    "<system>",
    "### system",
    "[system]",
    "\n\nsystem:",
];

/// Words that are found again where letters stand without spaces.
pub(super) const CUT: [&str; 54] = [
    "instructions",
    "instruction",
    "restrictions",
    "guidelines",
    "everything",
    "previous",
    "disregard",
    "password",
    "override",
    "unfiltered",
    "anything",
    "assistant",
    "developer",
    "pretend",
    "without",
    "ignore",
    "forget",
    "system",
    "prompt",
    "reveal",
    "secret",
    "repeat",
    "bypass",
    "hidden",
    "filter",
    "prior",
    "above",
    "rules",
    "print",
    "show",
    "tell",
    "your",
    "mode",
    "what",
    "them",
    "make",
    "bomb",
    "all",
    "any",
    "the",
    "and",
    "you",
    "now",
    "are",
    "dan",
    "how",
    "not",
    "act",
    "me",
    "is",
    "as",
    "to",
    "do",
    "no",
];
