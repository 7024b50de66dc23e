"""Words that say nothing about what is looked for, in the languages that are told apart by them. Pure."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

# Folded, as the index has them.
_LANGUAGES: Final = tuple(
    frozenset(words.split())
    for words in (
        # English
        "a about an and any are as at be been but by can could did do does for from had has have how i if in into is it"
        " its me my no not of on only or our should s so some such t that the their them then there these they this"
        " those to was we were what when where which who why will with would you your",
        # German
        "aber als am an auch auf aus bei bin bis das dass dem den der des die du durch ein eine einem einen einer eines"
        " er es fur gibt habe haben hat ich ihr im in ist kann man mein mit nach nicht noch oder sich sie sind so uber"
        " um und unter vom von vor war was wenn wer werden wie wird wo zu zum zur",
        # French
        "a au aux avec ce ces cette comment dans de des du elle en est et faire il ils je la le les leur mais me mon ne"
        " nous on ou par pas pour pourquoi quand que quel quelle qui sa se ses son sont sur un une vous y",
        # Spanish
        "a al como con cual cuando de del donde el ella en es esta este esto ha hay la las lo los me mi mis muy no o"
        " para pero por porque que quien se ser si sin sobre son su sus un una y yo",
        # Italian
        "a ai al alla anche che chi ci come con cosa da dal dalla degli dei del della delle di dove e gli ha ho i il in"
        " io la le lo ma mi mio ne nel nella non o per perche piu quale quando se si sono su sul sulla un una uno",
        # Portuguese
        "a ao aos as com como da das de do dos e ela ele em essa esta este eu foi ha mais mas meu na nao nas no nos o"
        " os ou para pela pelo por porque qual quando que quem se sem ser seu sua um uma",
        # Dutch
        "aan al als bij dat de deze die dit door een en er haar heb heeft het hij hoe ik in is je kan maar met mijn"
        " naar niet of om onder ook op over te tot uit van voor waar was wat we wie wij zijn",
        # Polish
        "a ale bo by byc co czy dla do gdy gdzie i ich jak jaka jakie jaki jako jest kiedy kto ktory na nad nie o od po"
        " pod przez sa sie ta tak te ten to tym w we z za ze",
        # Russian, in the letters that folding leaves
        "а без бы был была были быть в вы где для до его ее если есть же за и из или как какие какои какая когда кто ли"
        " мне мои на не но о об он она они от по под при с со так то у что чтобы это я",
        # Swedish
        "att av de den det du en ett for fran har hur i ar jag kan med men min nar och om pa sig som till var vad vem"
        " vi",
        # Czech
        "a aby ale bez bude by byl co do i ja jak jako je jeho jsem jsou k kde kdy kdo ktere ktery mezi na nebo o od po"
        " pod pro proc pri s se si ta tak to tento u v ve z za ze",
        # Turkish
        "bir bu da daha de en gibi hangi icin ile kac kim mi mu nasil ne neden nerede olan olarak sey ve veya ya",
    )
)
# Fewer than these of another language than English may be words of any.
_LEAST: Final = 2


def stop_words_of(words: Collection[str]) -> frozenset[str]:
    """The words among these that say nothing, in the language that has the most of them."""
    unsaying = max((language.intersection(words) for language in _LANGUAGES), key=len)
    english = _LANGUAGES[0].intersection(words)
    return unsaying if len(unsaying) > max(len(english), _LEAST - 1) else english
