"""The words by which negations are told, and those that only look like one."""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


#: English words that negate what follows.
ENGLISH = _set("without no not")
#: A negation ends before these, or behind one of STOPS.
ENDS = _set(
    "but with while who which that on in at near by under over above below behind beside between "
    "from into onto during"
)
STOPS = ",;.:!?，。；：！？"
#: The things a negation names may be several.
JOINERS = _set("and or nor")
ARTICLES = _set("a an the any some")
#: Left hanging where a negation was taken out of the sentence.
DANGLING = _set("with but and or nor is are was were that which who has have there")
#: "no …" that names a thing or is a name.
NAMES = _set(
    "parking smoking entry exit entrance trespassing stopping standing waiting swimming fishing "
    "diving vacancy vacancies one body way through"
)
#: What carries a prohibition in writing: "no dogs sign" is a sign, not a picture without dogs.
SIGNS = _set(
    "sign signs symbol symbols signal signals board notice poster sticker logo button zone allowed "
    "permitted"
)
#: "do not enter", "whether or not", "not only", "not just".
BEFORE_NOT = _set("do does did or why if")
AFTER_NOT = _set("only just yet")

#: Words that begin with a negation's character and negate nothing.
CHINESE_WORDS = tuple(
    sorted(
        _set(
            "没关系 没事 没什么 没问题 没错 没收 没落 没药 没完 没了 没有什么 没有关系 没有问题 "
            "无人机 无人驾驶 无人车 无人船 无人店 无人超市 无人售货 无人岛 无花果 无线 无轨 无尾熊 "
            "无尾猴 无边 无际 无垠 无限 无穷 无锡 无名 无敌 无论 无比 无数 无辜 无奈 无聊 无袖 "
            "无糖 无烟 无铅 无障碍 无脊椎 无影灯 无框 无机 无极 无菌 无核 无纺 无患子 无忧 无双 "
            "无量 无畏 无常 无声 无题 无缝 无毛猫 无臂 无头"
        )
    )
)
#: Behind these characters a negation's character ends another word: 淹没, 有没有, 虚无.
CHINESE_BEFORE = {
    "没": "淹沉埋吞出湮隐泯辱覆有日",
    "没有": "有",
    "无": "虚南有空全一从了望独永至天",
}
#: Of traditional characters in the words above, the simplified ones.
SIMPLIFIED = str.maketrans(
    "沒無帶關係線機車駛錯軌邊際錫論雙聲題縫頭數窮", "没无带关系线机车驶错轨边际锡论双声题缝头数穷"
)
