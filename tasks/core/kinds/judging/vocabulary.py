"""The words by which a text is understood: what it names, which way it says a thing moves, what it
would do, and whether it denies or supposes.

A word is looked up by its longest known beginning, so that endings and Korean particles do not
matter: "falls", "내려가면". The tables are data; `meanings` is their one reader.
"""

from functools import lru_cache

from tasks.core.records.facts import Language

Meanings = frozenset[str]

LABELS = (
    "return_pct",
    "breadth_pct",
    "momentum_pct",
    "volatility_pct",
    "vix",
    "us_return_pct",
    "usdkrw",
    "foreign_net_buy_100m_krw",
    "sentiment_points",
    "drawdown_pct",
    "leverage_x",
    "per",
    "pbr",
    "ev_ebitda",
    "roe_pct",
    "beta",
    "pnl_pct",
    "gap_pct",
    "volume_x",
    "f_score",
)
"""The numbers whose label binds: another number under it is a mistake. `usdkrw` stands for the
rate and for its change alike.
"""

# Each line: a meaning, and the beginnings of the words that have it. A word that ends in a dot
# here is meant whole: "up." is not "upper".
_ENGLISH = """
return_pct return.; returns.
breadth_pct breadth; advancers; advancing; participation
momentum_pct momentum
volatility_pct volatility; vol.
vix vix
us_return_pct s&p; wall; overseas; us-market
usdkrw usd/krw; usdkrw; dollar; exchange; currency
foreign_net_buy_100m_krw foreign
sentiment_points sentiment
drawdown_pct drawdown; mdd
leverage_x leverage; leveraged.
per per.; p/e; price-earnings; price/earnings
pbr pbr; p/b; price-book; price/book
ev_ebitda ev/ebitda
roe_pct roe
beta beta
pnl_pct p&l; pnl; p/l
gap_pct gap.; gaps.; gapped
volume_x volume; turnover
f_score f-score; fscore; piotroski
market market.; index.; kospi; tape.; shares.; equities
won won.; krw.
up up.; rose.; rise; rising; risen; gain.; gains.; gained; gaining; climb; jump; rally; rallied
up rallies; advance.; advanced.; increase; higher.; soar; surge; grow; grew; recover; rebound
up lift; widen; expand; positive; improve; boost; green.
down down.; fell.; fall; drop; lost.; lose.; loses.; losing.; loss.; losses.; decline; declining
down slid; slide; slump; dip; plunge; sank; sink; shed.; sheds.; decrease; lower.; lowers.
down negative; shrink; shrank; shrunk; erode; erosion; worsen; tumble; retreat; weaken; minus
down collapse; soft.; softer; red. ; narrowed ; squeeze ; selling.
calm calm; quiet; subdued; complacen; placid; tranquil; benign; low.; muted
alarm nervous; elevated; stressed; panic; fear; high.; spike; extreme; anxious; turbulent
strong strong.; stronger; firm.; firmer; appreciat; strengthen; strength.
weak weak.; weaker; deprecia; weakness; softness
gain winner; benefit; tailwind; beneficiar; favour; favor; helps.; helped.; help.; profits-from
gain upside; windfall; wins.; win.; outperform; gains-from; supports.; cheaper ; good-news ; relief
lose loser; hurt; headwind; suffer; harm; victim; hit.; hits.; underperform; damage; bad-news
lose pressure; pressured; downside; burden; casualty; penalis; penaliz ; adverse
outcome profit; profits; earnings; revenue; revenues; sales; margin; demand; orders; income
outcome receipts; results.; business.; cash-flow
cost cost; costs; expense; bill; debt; interest; price-of-imports; imports; imported; fuel; input
hold hold.; holds.; holding.; held.; keep.; keeps.; kept.; keeping.; stay.; stays.; remain; leave.
hold unchanged; untouched; nothing-to-do; maintain; retain; left. ; leaves. ; stands.
trim reduce; reduced; trim; cut.; cuts.; cutting.; lighten; scale-back; halve; pare; shave; lowered
trim bring-down; come-down
exit exit; sell.; sells.; sold.; liquidat; close-out; stopped.; dump; out. ; unwind; goes.
buy buy.; buys.; bought.; buying; add.; adds.; added.; double; doubled; accumulate; enter.; top-up
buy raise; raised; overweight; load-up
skip skip; avoid; pass.; ignore; stand-aside; no-trade; too-weak; not-worth ; reject ; wait.
risk_on sell-nothing; all-in; buy-everything; risk-on; go-long; full-long; no-hedge; unhedged
risk_on bullish; buy-the-dip; aggressive; aggressively ; euphoria
risk_off sell-everything; go-short; short-now; risk-off; exit-everything; abandon; bearish; cash-only
risk_off liquidate-everything; sell-all; capitulat; crash. ; flee.
reverse opposite; contrary; inverse-of-the-answer; disregard; ignore-the
nothing nothing-happens; no-problem; does-not-matter; whatever; irrelevant
not not.; no.; nor.; never; neither; without; isn't; aren't; doesn't; don't; won't; cannot; can't
not rather-than; instead; hardly; denies; lacks; lacking; far-from; un.; wasn't; didn't; anything-but
if if.; once.; until; till.; unless; when.; should.; would.; could.; may.; might.; whenever; before.
if provided; were.; assuming; assume; suppose; scenario; after. ; next. ; as-soon ; otherwise
limit limit; line.; threshold; border; mark.; bound; range; band; test.; tests.; rule; beyond; past.
limit floor; cap.; ceiling; trigger; away.; distance; points; room.; cushion; margin-of; needed; side
limit required; separate; stop.; stops.; target; between; from.; toward; towards; cutoff; hurdle
above above; over.; exceed; clears.; clear.; cleared.; tops.; topped.; beats.; beat.; surpass
above more-than; at-least; breaks.; broke.; breach
below below; under.; beneath; less-than; short-of; at-most; inside.; within
level to.; at.; from.; near.; around.; of.
term hedge; hedged; hedging; regime; stress; bear; bull; weakening; mild; uptrend; downtrend; trend
term exposure; net.; gross.; weight; nav.; short.; shorts.; long.; longs.; stop-loss; overlay
term exporter; export; domestic; importer; tariff; rate; rates; oil.; crude; chip; semiconductor
term sector; defensive; defense; cyclical; diversif; valuation; cheap; expensive; multiple; yield
term dividend; cap; liquidity; correlation; score; signal; condition; conditions-met; confirm
term volatility; unwind; overnight; open.; opens.; close.; closed.; closes.; shock; fund; inverse
term scenario; transition; step.; risk; names. ; stocks-rise ; won-denominated ; backlog ; policy
term capacity; subsid; spread.; npl ; loan ; premium ; insurance ; refin ; freight ; tourism ; drug
term session; day-1; day-2; pro-rata; book.; books.; portfolio; position; positions; mid-cap
term mid.; large-cap; liquid; buyer; seller; inflow; outflow; flows.; recovery; event; news.; contract
"""
_KOREAN = """
return_pct 수익률
breadth_pct 상승종목; 확산
momentum_pct 모멘텀
volatility_pct 변동성
vix vix; 빅스
us_return_pct s&p; 미국등락; 미증시; 뉴욕증시
usdkrw 환율; 원/달러; 달러; 원·달러; 원달러; usd/krw
foreign_net_buy_100m_krw 외국인; 순매수; 순매도; 외인
sentiment_points 심리
drawdown_pct 낙폭; mdd; 최대낙폭
leverage_x 레버리지; 차입
per per; p/e; 주가수익비율
pbr pbr; p/b; 주가순자산비율
ev_ebitda ev/ebitda
roe_pct roe; 자기자본이익률
beta 베타
pnl_pct 손익; 평가손익
gap_pct 갭; 시가갭
volume_x 거래량
f_score f-score; f스코어; 재무점수
market 시장; 지수; 코스피; 증시; 장세; 장은.; 장이.; kospi
won 원화
up 오르; 오른; 올랐; 올라; 오름; 상승; 급등; 뛰; 뛴; 뛰었; 반등; 늘; 증가; 커지; 커졌; 확대; 개선; 플러스
up 키우; 키운; 높아; 회복; 좋아; 성장; 불어; 순매수; 이익. ; 불어나 ; 넓어
down 내리; 내린; 내렸; 내려; 하락; 급락; 떨어; 밀려; 밀린; 밀렸; 빠졌; 빠지; 빠진; 빠져; 줄어; 준다
down 줄었; 감소; 작아; 축소; 악화; 마이너스; 손실; 낮아; 폭락; 순매도; 꺾; 후퇴; 훼손; 깎; 위축; 약세로 ; 주저앉
calm 안정; 잠잠; 차분; 조용; 낮다; 낮은; 낮아; 평온; 편안; 양호
alarm 불안; 공포; 높다; 높은; 높아; 흔들; 요동; 출렁; 급증; 극단
strong 강세; 강하; 강해; 강한; 절상; 강세다
weak 약세; 약하; 약해; 약한; 절하
gain 수혜; 유리; 호재; 득; 이득; 도움; 보탬; 혜택; 순풍; 기회; 웃는; 수혜주
lose 피해; 불리; 악재; 타격; 손해; 역풍; 압박; 부담; 걸림돌; 울상; 취약
outcome 이익; 실적; 매출; 수익성; 마진; 수요; 주문; 수주; 수익. ; 영업이익 ; 이윤 ; 판매
cost 비용; 원가; 이자; 부채; 연료비; 수입가; 조달; 원자재; 지출
hold 보유; 유지; 둔다; 두고; 두며; 그대로; 지킨; 가져간; 이어간; 남긴; 남겨; 손대지; 안고; 둬; 놔둔; 관망; 지켜; 주시
trim 줄인; 줄여; 줄이; 축소; 덜어; 낮춘; 낮춰; 낮추; 감축; 깎는
exit 전량; 판다; 팔; 매도; 손절한; 정리; 청산; 처분; 털; 되돌; 빼낸
buy 담; 매수; 사들; 산다; 늘린; 늘려; 늘리; 추가; 더담; 편입; 두배; 올려담; 싣는; 채운; 채워
skip 건너; 제외; 거르; 거른; 보류; 넘긴; 참여하지; 쉬어; 따라가지; 좇지; 쫓지
risk_on 몰빵; 총매수; 올인; 풀매수; 위험선호; 공격적; 헤지없이; 저가매수; 강력매수
risk_off 전량매도; 모두판; 다판; 패닉; 투매; 위험회피; 탈출; 공매도; 숏으로; 하락장
reverse 반대로; 정반대; 거꾸로; 무시하
nothing 문제없; 상관없; 아무렇지; 괜찮; 문제는없; 걱정없
not 아니; 아닌; 않; 없; 못; 말고; 보다는; 대신; 아직; 미치지
if 만약; 만일; 경우; 때; 가정; 시나리오; 앞으로; 다음; 뒤; 후; 까지; 전까지; 반영하
limit 선은; 선이; 선을; 선인; 선까지; 경계; 기준; 한도; 상한; 하한; 밴드; 조건; 여유; 남; 부터; 사이; 범위; 구간; 손절선; 손절
limit 기준선; 목표선; 손절매; 목표; 거리; 떨어져; 안쪽; 안이; 안에; 이내; 가운데; 필요; 문턱; 규칙; 이익실현; 주시할
above 이상; 초과; 넘; 웃돌; 웃도; 위로; 돌파; 상회; 위라; 위에; 위다; 채워; 채우
below 이하; 미만; 밑; 아래; 밑돌; 밑도; 하회; 미달
term 국면; 스트레스; 약세장; 강세장; 약화; 완만; 추세; 노출; 순노출; 비중; 헤지; 롱; 숏; 인버스; 업종; 방어; 경기
term 수출; 내수; 수입; 관세; 금리; 유가; 반도체; 정책; 규제; 분산; 저평가; 고평가; 배당; 시총; 중형; 대형; 소형; 상관
term 점수; 신호; 충족; 시초가; 장중; 오버나이트; 청산; 충격; 전환; 목표; 단계; 리스크; 위험; 국내; 해외; 외화; 이자
term 보험; 은행; 물량; 단가; 운임; 수주; 환산; 장세; 종목; 상품; 펀드; 지수; 자금; 거래; 유동성; 밸류; 재무; 밴드; 주문
term 하루; 첫날; 이틀; 갭; 매수세; 매도세; 투심; 코스닥; 뉴스; 여건이 ; 계약; 설비; 감산; 증산; 관광; 약가; 임상; 호황
"""
"""Korean meanings; words of two parts stand without the space between them."""


def _table(lines: str) -> dict[str, Meanings]:
    """Returns the meanings of every beginning of a word; a whole word ends in a dot."""
    known: dict[str, set[str]] = {}
    for line in lines.strip().splitlines():
        meaning, beginnings = line.split(" ", 1)
        for beginning in beginnings.split(";"):
            known.setdefault(beginning.strip(), set()).add(meaning)
    return {beginning: frozenset(found) for beginning, found in known.items()}


_TABLES: dict[Language, dict[str, Meanings]] = {"ko": _table(_KOREAN), "en": _table(_ENGLISH)}
_NOTHING: Meanings = frozenset()


@lru_cache(maxsize=50_000)
def meanings(word: str, language: Language) -> Meanings:
    """Returns what a word in small letters means: by the whole word, else by its longest known
    beginning; nothing for an unknown one.
    """
    table = _TABLES[language]
    if f"{word}." in table:
        return table[f"{word}."]
    for end in range(len(word), 0, -1):
        found = table.get(word[:end])
        if found:
            return found
    return _NOTHING
