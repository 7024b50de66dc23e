"""Small documents with questions whose answers are known: ten languages, names, phrases, file names. Made up here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A document, by its file's name, and a question that it answers."""

    file: str
    text: str
    question: str


# The same four matters in each language: expenses, a backup, bread, a train.
_LANGUAGES: Final = {
    "english": (
        (
            "Travel expenses are paid back when the receipts are handed in within ten days.",
            "when are expenses paid back",
        ),
        (
            "The database is saved every night at three o'clock, and copies are kept for a month.",
            "how long are copies kept",
        ),
        ("Let the dough of rye flour rest overnight before it goes into the oven.", "resting time of rye dough"),
        ("The last train to the coast leaves at a quarter past eleven from platform two.", "last train to the coast"),
    ),
    "german": (
        (
            "Reisekosten werden erstattet, wenn die Belege innerhalb von zehn Tagen vorliegen.",
            "Wann werden Reisekosten erstattet?",
        ),
        (
            "Die Datenbank wird jede Nacht um drei Uhr gesichert, Kopien bleiben einen Monat.",
            "Um wie viel Uhr wird die Datenbank gesichert?",
        ),
        ("Der Teig aus Roggenmehl ruht über Nacht, bevor er in den Ofen kommt.", "Wie lange ruht Roggenmehl im Teig?"),
        ("Der letzte Zug zur Küste fährt um Viertel nach elf von Gleis zwei.", "letzter Zug zur Kueste Gleis"),
    ),
    "french": (
        (
            "Les frais de déplacement sont remboursés si les justificatifs arrivent sous dix jours.",
            "remboursement des frais de deplacement",
        ),
        (
            "La base de données est sauvegardée chaque nuit à trois heures.",
            "À quelle heure la base de données est-elle sauvegardée ?",
        ),
        ("La pâte de seigle repose toute la nuit avant d'aller au four.", "combien de temps repose la pate de seigle"),
        ("Le dernier train pour la côte part à onze heures et quart, voie deux.", "dernier train pour la cote"),
    ),
    "spanish": (
        (
            "Los gastos de viaje se reembolsan si los recibos llegan en diez días.",
            "¿Cuándo se reembolsan los gastos de viaje?",
        ),
        ("La base de datos se copia cada noche a las tres de la mañana.", "a que hora se copia la base de datos"),
        ("La masa de centeno reposa toda la noche antes de entrar en el horno.", "masa de centeno reposo"),
        ("El último tren a la costa sale a las once y cuarto del andén dos.", "ultimo tren a la costa"),
    ),
    "polish": (
        (
            "Koszty podróży są zwracane, gdy rachunki wpłyną w ciągu dziesięciu dni.",
            "Kiedy są zwracane koszty podrozy?",
        ),
        ("Kopia bazy danych powstaje każdej nocy o trzeciej.", "kopia bazy danych o ktorej"),
        ("Ciasto z mąki żytniej odpoczywa przez noc, zanim trafi do pieca.", "ciasto z maki zytniej"),
        ("Ostatni pociąg nad morze odjeżdża kwadrans po jedenastej z toru drugiego.", "ostatni pociag nad morze"),
    ),
    "russian": (
        (
            "Расходы на поездку возвращают, если чеки сданы в течение десяти дней.",
            "когда возвращают расходы на поездку",
        ),
        ("Резервная копия базы данных создаётся каждую ночь в три часа.", "Во сколько создается резервная копия?"),
        ("Тесто из ржаной муки отдыхает всю ночь, прежде чем попасть в печь.", "сколько отдыхает тесто из ржаной муки"),
        ("Последний поезд к морю отправляется в четверть двенадцатого.", "последний поезд к морю"),
    ),
    "turkish": (
        ("Yolculuk masrafları, fişler on gün içinde verilirse geri ödenir.", "yolculuk masraflari ne zaman odenir"),
        ("Veritabanı her gece saat üçte yedeklenir.", "Veritabanı saat kaçta yedeklenir?"),
        ("Çavdar unu hamuru fırına girmeden önce bütün gece dinlenir.", "çavdar hamuru ne kadar dinlenir"),
        ("Sahile son tren on biri çeyrek geçe ikinci perondan kalkar.", "sahile son tren"),
    ),
    "chinese": (
        ("差旅费用报销：员工应当在十天内提交发票，由经理审批。", "报销发票要在几天内提交？"),
        ("数据库每天凌晨三点自动备份，副本保留一个月。", "数据库什么时候备份？"),
        ("黑麦面团要静置一夜，然后放进烤箱。", "黑麦面团需要静置多久"),
        ("去海边的末班火车十一点一刻从二号站台发车。", "末班火车几点"),
    ),
    "japanese": (
        ("出張費の精算は、領収書を十日以内に提出してください。", "領収書はいつまでに提出しますか？"),
        ("データベースは毎晩三時に自動でバックアップされます。", "バックアップは何時ですか"),
        ("ライ麦の生地は一晩寝かせてからオーブンに入れます。", "ライ麦の生地"),
        ("海岸行きの最終電車は十一時十五分に二番線から出ます。", "最終電車は何時"),
    ),
    "thai": (
        ("การเบิกค่าเดินทางต้องส่งใบเสร็จภายในสิบวัน", "ต้องส่งใบเสร็จภายในกี่วัน"),
        ("ฐานข้อมูลสำรองทุกคืนเวลาตีสาม", "ฐานข้อมูลสำรองเวลาไหน"),
        ("แป้งข้าวไรย์ต้องพักไว้หนึ่งคืนก่อนเข้าเตาอบ", "แป้งข้าวไรย์พักนานเท่าไร"),
        ("รถไฟเที่ยวสุดท้ายไปชายทะเลออกเวลาห้าทุ่ม", "รถไฟเที่ยวสุดท้าย"),
    ),
}

# What is asked for, and what only looks like it.
_NAMES: Final = (
    ("HashKnownHosts", "Hash the known hosts before you copy the file."),
    ("4711-AB/2026", "Order 4711 of 2026 went to AB Limited."),
    ("C++17", "C is from 1972, and 17 compilers translate it."),
    ("--no-verify", "Verify that there is no other hook."),
    ("ERR_X509", "An X509 certificate can be in error."),
    ("192.168.0.1", "The router has 192.168.0.10 by now."),
    ("foo_bar", "A foo walks into a bar."),
    (".bashrc", "The shell bash reads an rc file when it starts."),
    ("std::vector<int>", "A vector of int is standard."),
    ("$HOME/.config", "Configure it at home."),
)

_PHRASES: Final = (
    ("the fine manual", "The manual that is fine was read."),
    ("not a bug", "A bug is not what this is, it is a feature."),
    ("time after time", "After some time there was time again."),
    ("second to none", "None was second to arrive."),
)

_FILES: Final = (
    ("Invoice_Miller_2026.txt", "invoice miller"), ("BackupPlanNorth.md", "backup plan north"),
    ("übersicht-kantine.txt", "Übersicht Kantine"), ("報告書.txt", "報告書"),
    ("minutes-of-april.md", "minutes of april"),
)  # fmt: skip


def parts() -> dict[str, list[Asked]]:
    """The documents with their questions, by what is tried with them. Decoys have no question."""
    made = {
        f"language {name}": [
            Asked(file=f"{name}{at}.txt", text=text, question=question) for at, (text, question) in enumerate(pairs)
        ]
        for name, pairs in _LANGUAGES.items()
    }
    made["names"] = _beside("name", _NAMES, quoted=False)
    made["phrases"] = _beside("phrase", _PHRASES, quoted=True)
    made["file names"] = [
        Asked(file=file, text=f"Paper number {at}, with nothing that says what it is.", question=question)
        for at, (file, question) in enumerate(_FILES)
    ]
    return made


def _beside(kind: str, pairs: tuple[tuple[str, str], ...], *, quoted: bool) -> list[Asked]:
    made = []
    for at, (sought, decoy) in enumerate(pairs):
        text = f"Line {at} of a list in which {sought} stands among others."
        made.append(Asked(file=f"{kind}{at}.txt", text=text, question=f'"{sought}"' if quoted else sought))
        made.append(Asked(file=f"{kind}{at}-decoy.txt", text=decoy, question=""))
    return made
