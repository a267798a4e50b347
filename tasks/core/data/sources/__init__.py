"""The published sources of Stage 1, one file each, in the order of reports.

own.py and reasoning_logs.py make sources from the settings; they are added if they are given.
"""

from tasks.core.data.sources.fin_sentiment import FIN_SENTIMENT
from tasks.core.data.sources.finance_instruct import FINANCE_INSTRUCT
from tasks.core.data.sources.krx_won import KRX_WON
from tasks.core.data.sources.sujet_finance import SUJET_FINANCE
from tasks.core.data.sources.trading_signals import TRADING_SIGNALS

SOURCES = (FINANCE_INSTRUCT, SUJET_FINANCE, KRX_WON, TRADING_SIGNALS, FIN_SENTIMENT)
