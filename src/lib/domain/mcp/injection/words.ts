import { patterns, type Rule } from './rule.ts';

/** Who is not to hear of it. */
const people = `(?:the |this |any |your |to )?(?:end[- ]?|human )?(?:users?|humans?|operators?|owners?|persons?|people|customers?|admins?|administrators?|anyone|anybody|them|developers?|client)`;
/** What a model goes by. */
const guidance = `(?:instructions?|rules?|prompts?|guidelines?|directions?|restrictions?|constraints?|polic(?:y|ies)|directives?|safeguards?|guardrails?|guidance|context|training|programming|safety (?:checks?|measures?|filters?|protocols?))`;
const quote = String.raw`["'\x60]?`;
/** What nobody's tool needs to be handed. */
const confidential = String.raw`(?:(?:full |entire |whole |complete |current |previous |raw |prior )*(?:conversation|chat|message|dialog(?:ue)?|prompt)(?: history| log| transcript| context| so far)?|system (?:prompt|message|instructions?)|(?:all |any )?(?:previous|prior|earlier|other) (?:messages?|turns?|tool (?:results?|outputs?|calls?))|(?:the )?user'?s? (?:messages?|credentials?|passwords?|secrets?|api keys?|private keys?|access tokens?|session cookies?|personal (?:data|information|details))|(?:all |any |your )?(?:environment variables|env vars|process\.env|credentials?|private keys?|ssh keys?|api[_ ]keys?|session cookies?|stored passwords?|secrets))`;

/** Looked for in texts as people read them (`asRead`): small letters, single spaces. */
export const wordRules: readonly Rule[] = [
  patterns(
    'override.instructions',
    'high',
    new RegExp(
      String.raw`\b(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|overrid(?:e|es|ing)|bypass(?:ing)?|discard(?:ing)?|neglect|abandon|set aside|do not (?:follow|obey|respect)|don't (?:follow|obey|respect)|stop following|no longer (?:follow|obey|apply))\b[^.!?]{0,40}\b(?:all|any|every|previous|prior|preceding|above|earlier|other|existing|original|initial|your|system|safety|user'?s?|these|those|security|content)\b[^.!?]{0,40}\b${guidance}\b`,
    ),
    /\b(?:ignor(?:e|ing)|disregard|forget) (?:everything|anything|all|what(?:ever)?)\b[^.!?]{0,30}\b(?:above|before|previous(?:ly)?|earlier|prior|so far|told|said)\b/,
    /\b(?:previous|prior|earlier|above|existing|original|system) (?:instructions?|prompts?|directives?|rules|guidelines)(?: above)? (?:are|is|have been|has been|no longer|must be|should be)\b[^.!?]{0,30}\b(?:void|invalid|obsolete|superseded|ignored|cancell?ed|revoked|replaced|apply|overridden|disregarded|deprecated|suspended|lifted|null)/,
    /\b(?:takes?|has|have|with) (?:absolute |highest |top )?(?:precedence|priority) over\b[^.!?]{0,40}\b(?:instructions?|prompts?|rules|user|polic|guidelines|system|requests?)/,
    /\b(?:new|updated|revised|real|actual|true|hidden|secret) (?:system )?(?:instructions?|directives?|orders|objective|mission|system prompt)\s?(?::|follow|are|is)/,
  ),
  patterns(
    'override.languages',
    'high',
    /\bignor(?:a|e|ar|en|ad) (?:todas? )?(?:las |tus |cualquier )?(?:instrucciones|reglas|indicaciones|directrices)/,
    /\bignor(?:e|ez|er) (?:toutes? )?(?:les |vos |tes )?(?:instructions|consignes|règles) (?:précédentes|antérieures|ci-dessus)/,
    /\b(?:ignorier(?:e|en|t)?|missachte(?:n)?|vergiss|vergessen sie) (?:sie )?(?:bitte )?(?:alle )?(?:die |deine |ihre )?(?:vorherigen |bisherigen |obigen |früheren )?(?:anweisungen|regeln|vorgaben|instruktionen)/,
    /\bignor(?:a|e|are|i) (?:tutte )?(?:le |tue )?(?:istruzioni|regole)|\bignor(?:e|ar) (?:todas )?(?:as )?(?:instruções|regras)/,
    /(?:忽略|无视|無視|不要理会|忘记)(?:之前|以上|所有|先前|前面|此前|你)?[^。]{0,10}(?:指令|指示|提示|规则|規則|说明)/u,
    /(?:игнорируй|проигнорируй|забудь)(?:те)? (?:все )?(?:предыдущие |прежние )?(?:инструкции|указания|правила)/u,
    /(?:以前|これまで|上記|前)の?(?:すべての)?(?:指示|命令|ルール)を(?:すべて)?(?:無視|忘れ)/u,
    /(?:이전|위의|모든) ?(?:모든 )?(?:지시|명령|지침)(?:를|을|사항을)? ?(?:무시|잊)/u,
  ),
  patterns(
    'override.persona',
    'high',
    /\byou are (?:now|no longer|actually)\b(?! (?:connected|authenticated|logged|ready|able|in (?:the|a)|using|on|signed))/,
    /\bfrom now on,? (?:you|act|respond|always|all|every|treat)/,
    /\b(?:act|behave|respond|operate) as (?:if you (?:are|were|have)|an? (?:unrestricted|uncensored|unfiltered|different|evil|malicious|root|jailbroken)|(?:dan|root|admin|the system|developer mode)\b)/,
    /\b(?:developer|god|jailbreak|dan|debug|unrestricted|maintenance|admin) mode (?:is )?(?:enabled|activated|on|now|unlocked)\b/,
    /\byour (?:new|real|true|actual|primary|only|secret|hidden) (?:task|goal|purpose|objective|job|mission|role|instructions?|priority) (?:is|are)\b/,
    /\b(?:pretend|imagine) (?:that )?(?:you|to be)\b|\benter (?:developer|unrestricted|maintenance) mode\b|\bwithout (?:any )?(?:ethical|safety|content) (?:restrictions?|limits?|filters?)/,
    /\b(?:reveal|print|repeat|output|disclose|leak|show|return|dump|recite)\b[^.!?]{0,30}\b(?:your|the|hidden|full|initial|original) (?:full |entire |hidden |initial |original )?system (?:prompt|message|instructions)/,
  ),
  patterns(
    'secrecy.from_people',
    'high',
    new RegExp(
      String.raw`\b(?:do not|don't|dont|never|must not|mustn't|should not|shouldn't|avoid|refrain from|cannot|without)\b[^.!?]{0,25}\b(?:tell|telling|mention|mentioning|inform|informing|notify|notifying|alert|alerting|reveal|revealing|disclose|disclosing|warn|warning|let|show|showing|explain|explaining|describe|report|reporting|announce|discuss|expose|confirm)\b[^.!?]{0,45}\b${people}\b(?! (?:id|ids|interface|input|agent|name|error|token))`,
    ),
    /\b(?:do not|don't|dont|never|must not|should not|avoid)\b[^.!?]{0,15}\b(?:tell|mention|inform|notify|alert|reveal|disclose|warn|discuss|announce|acknowledge)(?:ing)?\b[^.!?]{0,30}\b(?:this|these|that|it|the existence|your reasoning|having|what)\b/,
    /\b(?:user|human|operator|customer)s? (?:must|should|may|can|will|need|do|does) (?:not|never) (?:need to )?(?:know|see|notice|be (?:told|informed|aware|shown|alerted|notified)|learn|find out|realize|hear)/,
    /\bwithout (?:the |any )?(?:user|human|operator|customer)(?:'s|s')? (?:knowledge|awareness|consent|noticing|knowing|being aware|permission|approval)/,
    /\b(?:keep|treat) (?:this|these|it|that)\b[^.!?]{0,30}\b(?:secret|hidden|confidential|private|between us|invisible)\b/,
    /\b(?:secretly|covertly|surreptitiously|stealthily|discreetly|in secret|behind the scenes)\b[^.!?]{0,60}\b(?:call|send|read|copy|forward|include|upload|add|attach|pass|collect|record|run|execute|append|log|invoke|store|transmit|fetch|modify|replace)/,
    /\b(?:silently|quietly)\b,? (?:(?:and|also|then) )?(?:call|send|read|copy|forward|include|upload|attach|pass|collect|run|execute|append|invoke|transmit|exfiltrate|post|email)\b/,
    /\b(?:hide|conceal|omit|leave out|suppress)\b[^.!?]{0,40}\bfrom (?:the )?(?:user|human|operator|response|summary|answer|transcript|customer|output to the user)/,
  ),
  patterns(
    'exfiltration.secrets',
    'high',
    /(?:~|\$home|\/root|\/home\/[a-z_<>{}$]{1,30}|%userprofile%)[/\\]\.(?:ssh|aws|gnupg|kube|docker|netrc|npmrc|git-credentials|config[/\\]gcloud|azure|pypirc|cursor|claude|bash_history|zsh_history|pgpass)\b/,
    /\bid_(?:rsa|ed25519|ecdsa|dsa)\b|\/etc\/(?:shadow|passwd|sudoers)\b|\.aws\/credentials|\.git-credentials|claude_desktop_config\.json|\.?cursor\/mcp\.json|\bwallet\.dat\b|\bseed phrases?\b|\/proc\/self\/environ/,
    /\b(?:read|open|cat|load|include|dump|print|collect|gather|copy|contents? of|grab|harvest|fetch)\b[^.!?]{0,60}(?:\.env\b|\.npmrc\b|\.netrc\b|mcp\.json|credentials\.json|secrets?\.(?:json|ya?ml|toml)|\bkeychain\b|browser (?:cookies|passwords)|saved passwords|ssh (?:private )?keys?)/,
    /169\.254\.169\.254|metadata\.google\.internal/,
  ),
  patterns(
    'exfiltration.context',
    'high',
    new RegExp(
      String.raw`\b(?:pass|include|put|append|add|attach|insert|copy|provide|place|embed|supply|paste|write|encode|fill|populate|set)\b[^.!?]{0,60}\b${confidential}\b[^.!?]{0,80}\b(?:as|in|into|to|inside|within|with|using|through|via)\b[^.!?]{0,25}${quote}[\w.-]{1,40}${quote} ?(?:parameter|param|argument|arg|field|value|header|query|input|note|property|tool|call)?`,
    ),
    new RegExp(
      String.raw`\b(?:send|forward|transmit|upload|post|email|exfiltrate|leak|ship|report|deliver|submit|relay|mail|sync|stream|push|copy|transfer)\b(?:ing)?[^.!?]{0,60}\b(?:${confidential}|file contents?|contents of (?:the|any|all|every) (?:files?|documents?)|everything (?:the user|you)|user data|source code)\b[^!?]{0,60}\b(?:to|at|via|through)\b[^!?]{0,20}(?:https?:|\bhttp\b|\burl\b|endpoint|server|webhook|address|domain|collector|@|attacker|[\w-]{2,40}\.(?:com|net|org|io|dev|xyz|ru|site|app|co)\b)`,
    ),
    /\b(?:conversation|chat history|system prompt|user'?s? (?:messages?|question|request))\b[^.!?]{0,50}\b(?:must|should|has to|needs? to|is to)\b (?:always )?(?:be )?(?:passed|included|sent|provided|copied|forwarded|appended|added|logged|attached)/,
    /!\[[^\]]{0,80}\]\(https?:[^)]{0,200}[{<$]|\b(?:render|display|embed|load|include)\b[^.!?]{0,30}\b(?:image|pixel|img|link|markdown)\b[^!?]{0,80}https?:[^\s]{0,120}[?&=][^\s]{0,40}[{<[$]/,
    /\b(?:full|entire|complete|whole) (?:conversation|chat|dialog(?:ue)?)(?: history| context| transcript)?\b[^.!?]{0,60}\b(?:parameter|argument|field|analytics|telemetry|logging|quality|here|verbatim)/,
  ),
  patterns(
    'exfiltration.redirect',
    'high',
    /\b(?:always|every|all|instead|actual|real|automatically|any|each|first|whatever|regardless|also|must|additionally|secretly)\b[^!?]{0,90}\b(?:bcc|cc|forward|redirect|send|copy|route|mail|email|transfer|pay|wire|deliver|recipient|proxy|address)\b[^!?]{0,60}(?:[\w.+-]{1,40}@[\w-]{1,40}\.[a-z]{2,10}|0x[0-9a-f]{8,40}|\bbc1[a-z0-9]{8,60})/,
    /\b(?:bcc|cc|forward|redirect|route|reroute|replace|change|substitute|swap|modify|alter|set|copy|transfer|wire)\b[^!?]{0,60}\b(?:recipient|e-?mails?|messages?|payments?|transactions?|address|funds?|destination|wallet|account|iban)\b[^!?]{0,50}(?:[\w.+-]{1,40}@[\w-]{1,40}\.[a-z]{2,10}|0x[0-9a-f]{8,40}|\bbc1[a-z0-9]{8,60}|attacker)/,
    /\b(?:all|every|any) (?:requests?|traffic|calls?|commands?|urls?|downloads?)\b[^.!?]{0,40}\b(?:through|via|to) (?:our |this |the )?(?:proxy|mirror|relay|server|gateway)\b[^!?]{0,30}https?:/,
  ),
  patterns(
    'shadowing.every_call',
    'high',
    /\b(?:before|prior to|ahead of)\b[^.!?]{0,30}\b(?:any|every|each|all|using|calling|invoking|running)\b[^.!?]{0,20}\b(?:other|another) (?:tools?|functions?|servers?|actions?|commands?)\b/,
    /\b(?:must|always|required to|have to|mandatory|ensure|need to)\b[^.!?]{0,40}\b(?:call|invoke|use|run|execute|trigger)(?:ed|d)?\b[^.!?]{0,50}\b(?:for|on|before|after|with|in|at)\b[^.!?]{0,25}\b(?:any|every|each|all)\b (?:single |other |user |subsequent |new )*(?:request|task|message|conversation|response|tool|question|query|interaction|reply|action|turn|prompt|operation|answer|session)/,
    /\b(?:before|after|for|on) (?:any|every|each|all)\b (?:single |other |user |subsequent |new )*(?:requests?|tasks?|messages?|conversations?|responses?|tools?|questions?|interactions?|repl(?:y|ies)|turns?|prompts?|answers?)\b[^.!?]{0,40}\b(?:must|always|you have to|you need to|call this|invoke this|use this|run this)\b/,
    /\b(?:regardless of|no matter|even (?:if|when)|irrespective of|whatever)\b[^.!?]{0,30}\b(?:user|human|what is asked|asked|the request|instructions?|said)\b[^.!?]{0,50}/,
  ),
  patterns(
    'shadowing.other_tools',
    'high',
    /\b(?:never|do not|don't|must not|avoid|stop|refuse to|cease) (?:ever )?(?:use|using|call|calling|invoke|invoking|trust|trusting)\b[^.!?]{0,30}\b(?:any |all |every )?(?:other|competing|alternative|original|built-in|native|official|previous|old|legacy|existing|real) (?:\w{1,20} ){0,2}(?:tools?|servers?|functions?|implementations?|versions?|mcp)\b/,
    /\b(?:supersedes?|replaces?|overrides?|takes? (?:precedence|priority) over|disables?|shadows?|hijacks?|intercepts?|invalidates?|outranks?)\b[^.!?]{0,40}\b(?:other|all|any|every|existing|original|trusted|previous(?:ly)?|built-in|official|competing|registered)\b[^.!?]{0,30}\b(?:tools?|servers?|functions?|mcp|implementations?|integrations?)\b/,
    /\b(?:when(?:ever)?|if|each time|every time|once|any time)\b[^.!?]{0,40}\b(?:tool|function|server)s?\b[^.!?]{0,30}\b(?:is|are|gets?|was|were) (?:used|called|invoked|available|present|run|executed|triggered|about to)\b[^.!?]{0,60}\b(?:must|always|change|modify|add|set|replace|also|instead|append|first|use|send|include|prefix|insert|redirect)\b/,
    /\b(?:when(?:ever)?|before|after|while) (?:you )?(?:use|using|call|calling|invoke|invoking)\b[^.!?]{0,15}\b\w+_\w+\b[^.!?]{0,30}\b(?:tool|function)?[^.!?]{0,30}\b(?:must|always|change|modify|replace|append|set|redirect|bcc|insert|prefix|make sure)\b[^.!?]{0,60}\b(?:to|with|the|all|every)\b/,
    /\b(?:alters?|changes?|modif(?:y|ies)|affects?|controls?|governs?|dictates?)\b[^.!?]{0,15}\b(?:the )?(?:behaviou?rs?|operation|rules|arguments|parameters|output) (?:of|for) (?:all |any |every |the )?(?:other |following )?(?:\w+_\w+|(?:other|all|trusted|another) (?:tools?|servers?))/,
    /\b(?:other|all|every|any) (?:tools?|servers?|mcp servers?)\b[^.!?]{0,25}\b(?:is|are|has been|have been|must be)\b[^.!?]{0,20}\b(?:deprecated|compromised|malicious|unsafe|disabled|broken|insecure|obsolete|forbidden|untrusted|unreliable)/,
  ),
  patterns(
    'authority.claims',
    'high',
    /(?:^|[\s[(<*#>!"])(?:important |urgent |critical |mandatory )?(?:system|admin(?:istrator)?|root|developer|security|anthropic|openai|platform|compliance|host|operator)(?: level)? (?:instructions?|directives?|overrides?|notices?|commands?|orders?|alerts?|mandates?|policy|update) ?(?:[:!\]-]|requires?\b)/,
    /\b(?:important|attention|urgent|critical|warning|note)\b(?: note| notice| instructions?)? (?:to|for) (?:the |all |any )?(?:ai|llm|model|assistant|agent|language model|claude|gpt|copilot)s?\b/,
    /\b(?:ai|llm|assistant|agent|model|claude|chatgpt)s? (?:must|is required to|are required to|shall|has to|should always|will always|are instructed)\b[^.!?]{0,80}\b(?:read|send|call|include|first|obey|comply|ignore|pass|never|always|execute|run|append|not)\b/,
    /\b(?:authorized|approved|mandated|sanctioned|required) by (?:the )?(?:anthropic|openai|system|admin(?:istrator)?|security team|platform|it department|vendor|company policy)\b/,
    /\b(?:failure to comply|non-?compliance|or (?:else )?the (?:user|system|session|account) (?:will|may) be|otherwise (?:the |this )?(?:tool|user|account|system|session|data)[^.!?]{0,20}(?:not work|be (?:deleted|lost|terminated|suspended|banned|locked|corrupted)))\b/,
  ),
  patterns(
    'deception.of_people',
    'high',
    /\b(?:if|when(?:ever)?|should)\b[^.!?]{0,15}\b(?:user|human|anyone|anybody|someone|they|asked)\b[^.!?]{0,60}\b(?:deny|lie|pretend|claim|falsely|make up|insist|mislead|act as if|feign|fabricate|cover)\b/,
    /\b(?:if|when(?:ever)?) (?:the )?(?:user|human|anyone|someone|you are)\b[^.!?]{0,15}\b(?:asks?|asked|questions?|inquires?|complains?|notices?)\b[^.!?]{0,60}\b(?:say|reply|respond|answer|tell (?:them|the user)|explain)\b[^.!?]{0,30}\b(?:that|with|it|nothing|only|no)\b[^.!?]{0,60}\b(?:routine|normal|required|nothing|standard|technical|not|maintenance|diagnostic|internal|bug|error|sync)\b/,
    /\b(?:make|so that) it (?:look|looks|appear|appears|seem|seems)\b[^.!?]{0,40}\b(?:normal|like|as if|legitimate|harmless|routine|benign)/,
    /\b(?:provide|give|use|distract|cover|fill)\b[^.!?]{0,40}\b(?:false|fake|fabricated|misleading|plausible|distracting|innocuous)\b[^.!?]{0,30}\b(?:reason|explanation|answer|story|summary|excuse|information|results?|reasoning)/,
    /\b(?:mislead|deceive|trick|manipulate|persuade|gaslight|lie to)\b[^.!?]{0,15}\b(?:the )?(?:user|human|operator|customer|reader)s?\b/,
  ),
  patterns(
    'approval.evasion',
    'high',
    /\b(?:do not|don't|never|without|no need to|skip(?:ping)?|bypass(?:ing)?|avoid)\b[^.!?]{0,15}\b(?:ask(?:ing)?(?: for)?|wait(?:ing)?(?: for)?|request(?:ing)?|seek(?:ing)?|requir(?:e|ing)|prompt(?:ing)?(?: for)?)\b[^.!?]{0,20}\b(?:the )?(?:user|human|operator)(?:'s|s)?\b[^.!?]{0,20}\b(?:permission|confirm(?:ation)?|approval|consent|authori[sz]ation|for|before|first)\b/,
    /\b(?:auto-?(?:matically )?approve|approve automatically|always approve|mark (?:this|it) as (?:safe|approved|trusted)|disable (?:the )?(?:confirmation|approval|safety|security)|turn off (?:the )?(?:confirmation|approval|safety|security))\b/,
    /\b(?:user|human|operator)s? (?:has|have) already (?:approved|consented|agreed|authori[sz]ed|given (?:permission|consent)|confirmed)\b/,
    /\b(?:chmod 777|sudo |add)\b[^.!?]{0,40}\b(?:allow-?list|always-?allow|auto-?approve|trusted servers?)\b/,
  ),
  patterns(
    'execution.commands',
    'high',
    /\b(?:curl|wget|iwr|invoke-webrequest)\b[^|\n]{0,200}\|\s?(?:sudo )?(?:ba|z|da|k)?sh\b|\b(?:curl|wget)\b[^.!?]{0,20}https?:[^\s]{0,120}[^!?]{0,40}\b(?:run|execute|pipe|bash|sh)\b/,
    /\b(?:first|must|always|before|then|also|secretly|silently|need to|required to|please)\b[^!?]{0,40}\b(?:run|execute|exec|eval|type|launch)\b[^!?]{0,30}["'\x60]?(?:rm -rf|curl |wget |nc |ncat |bash -|sh -c|python3? -c|node -e|powershell|chmod |base64 |ssh |scp |crontab|eval\(|env\b|printenv)/,
    /\b(?:base64 (?:-d|--decode)|frombase64string|atob\()[^!?]{0,60}(?:\||exec|eval|run|iex|bash|sh\b)/,
    /\b(?:decode|decrypt|deobfuscate|translate|unscramble|reverse)\b[^.!?]{0,50}\b(?:and|then)\b[^.!?]{0,15}\b(?:follow|execute|obey|run|do|perform|act|comply|carry out)\b/,
    /\/dev\/tcp\/|\brm -rf (?:\/|~|\*)(?:\s|$|["'\x60])|:\(\)\s?\{\s?:\|:/,
  ),
  patterns(
    'persistence.memory',
    'high',
    /\b(?:remember|memori[sz]e|store|save|retain|persist|keep)\b[^.!?]{0,25}\b(?:this|these|the following)\b[^.!?]{0,20}\b(?:instructions?|rules?|directives?|behaviou?rs?|orders?)\b/,
    /\b(?:for the (?:rest|remainder|duration) of (?:this|the|our) (?:conversation|session|chat)|in all (?:future|subsequent|following|later) (?:responses?|messages?|conversations?|sessions?|interactions?|turns?)|(?:every|all) (?:future|subsequent) (?:responses?|sessions?|conversations?|repl(?:y|ies)))\b[^.!?]{0,80}/,
    /\b(?:add|write|append|insert|save|put)\b[^.!?]{0,50}\b(?:to|into|in) (?:the |your |its |project )?(?:claude\.md|agents\.md|\.cursorrules|cursor rules|system prompt|long-?term memory|memory file|copilot-instructions)/,
  ),
];
