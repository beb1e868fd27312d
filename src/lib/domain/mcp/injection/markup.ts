import { patterns, type Rule } from './rule.ts';

/** Looked for in texts as they are, whatever the case: structure that speaks to a model and not to a reader. */
export const markupRules: readonly Rule[] = [
  patterns(
    'markup.comment',
    'high',
    /<!--[\s\S]{0,400}/,
    /^[ \t]{0,20}\[(?:\/\/|comment|_metadata_?[^\]]{0,20})\]:\s*[#<]/im,
  ),
  patterns(
    'markup.hidden_style',
    'high',
    /<(?:[a-z]{1,12})\s[^>]{0,200}(?:display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0|opacity\s*:\s*0|color\s*:\s*(?:white|transparent|#fff))/i,
    /<(?:script|iframe|object|embed|svg|img|link|meta|style)[\s>/][^>]{0,200}(?:src|href|on\w{3,12}|@import)\s*=/i,
    /\$\\(?:color|textcolor)\{white\}|\\phantom\{/i,
  ),
  patterns(
    'markup.role',
    'high',
    /<\|?\/?\s{0,2}(?:im_start|im_end|system|assistant|user|developer|endoftext|start_header_id|end_header_id|eot_id|begin_of_text)\s{0,2}\|?>/i,
    /\[\/?(?:INST|SYS|SYSTEM|ASSISTANT)\]|<<\/?SYS>>|<\/?s>\s{0,4}\[|<(?:start|end)_of_turn>/,
    /(?:^|\n)\s{0,8}(?:#{1,6}\s{0,3})?(?:\*\*)?(?:system|assistant|human|developer)(?: prompt| message)?(?:\*\*)?\s{0,2}:(?:\*\*)?\s{1,8}\S{1,60}/i,
    /"role"\s{0,3}:\s{0,3}"(?:system|assistant|developer)"\s{0,3},\s{0,3}"content"/i,
    /(?:-{3,}|={3,}|#{3,})\s{0,4}(?:begin|end|start|new|system|instructions?)\b[^\n]{0,40}(?:prompt|instructions?|system|context|message|tools?|description)[^\n]{0,20}(?:-{3,}|={3,}|#{3,})?/i,
  ),
  patterns(
    'markup.tag',
    'high',
    /<\/?\s{0,2}(?:important|secret|hidden|instructions?|admin|override|system[-_ ]?(?:prompt|message|instructions?|reminder|note)|critical|urgent|confidential|private|internal|mandatory|ai[-_ ]?(?:only|instructions?)|llm[-_ ]?(?:only|instructions?)|assistant[-_ ]?(?:only|instructions?)|note[-_ ]to[-_ ](?:ai|llm|model)|prompt|tool[-_ ]?(?:description|call|use|result|response|definition)s?|function[-_ ]?(?:call|result)s?|antml:\w{1,30}|invoke|thinking|scratchpad|security|directive|policy)\b[^>]{0,80}>/i,
    /\[\s{0,2}(?:important|secret|hidden|system|admin|critical|override|internal|instructions?|mandatory|confidential|ai[- ]only|llm[- ]only)(?: (?:system )?(?:instructions?|note|notice|message|directive|prompt))?\s{0,2}[:\]]\s{0,3}\S{1,60}/i,
    /\{\{[#%]?\s{0,3}(?:system|instructions?|user|assistant|override)\b|\{%\s{0,3}(?:system|instructions?|raw)\b/i,
  ),
];
