"""How a regime is argued, in both languages: several ways to state each ground of the rule, and to
say what would change the view.

The module is data alone. {r} {b} {m} {v} are the market's return, breadth, momentum and volatility
as printed, with their % and a minus if the market fell: "a fall of -1.2%" would contradict itself.
Korean reads % as 퍼센트, so what follows it takes the particle of a vowel. Each ground names its
own regime and no other, because graders see by that name what a text argues for. The sentences
begin with different words, because the beginnings are what a model learns by heart.
"""

_KOREAN_GROUNDS = {
    "BEAR": (
        "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 약세장 기준을 밑돈다.",
        "약세장 조건 셋이 모두 맞는다. 시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}다.",
        (
            "10일 모멘텀이 {m}까지 꺾인 가운데 시장 수익률 {r}, "
            "상승 종목 비중 {b}로 약세장 조건을 다 채웠다."
        ),
        (
            "매도가 시장 전반으로 번졌다. 상승 종목 비중 {b}, "
            "시장 수익률 {r}, 10일 모멘텀 {m}의 약세장이다."
        ),
        "오른 종목이 {b}에 그친 날이다. 시장 수익률 {r}에 10일 모멘텀 {m}가 겹쳐 약세장이다.",
        (
            "하락이 하루로 끝나지 않았다. 10일 모멘텀 {m}에 "
            "시장 수익률 {r}, 상승 종목 비중 {b}라 약세장이다."
        ),
        "당일 {r}, 10일 모멘텀 {m}에 상승 종목 비중까지 {b}라 약세장으로 판정한다.",
        "수익률({r}), 상승 종목 비중({b}), 모멘텀({m}) 어느 쪽으로 봐도 약세장이다.",
        "-2%보다 깊은 하락({r})에 상승 종목 비중 {b}, 10일 모멘텀 {m}면 약세장이다.",
        (
            "지수만 빠진 것이 아니다. 상승 종목 비중 {b}, "
            "10일 모멘텀 {m}, 시장 수익률 {r}의 약세장이다."
        ),
    ),
    "volatile": (
        "연율 변동성 {v}가 25%를 넘는 장에서 시장 수익률이 {r}로 밀려 단기 스트레스다.",
        "시장 수익률이 {r}까지 밀리고 연율 변동성이 {v}로 25%를 넘어 단기 스트레스로 본다.",
        "변동성이 문제다. 연율 변동성 {v}에 시장 수익률 {r}면 단기 스트레스에 해당한다.",
        "흔들림이 큰 장이다. 연율 변동성 {v}, 시장 수익률 {r}로 단기 스트레스 조건을 채운다.",
        "시장 수익률 {r}가 -1.5%보다 깊고 연율 변동성 {v}도 25%를 넘어 단기 스트레스다.",
        "하루 등락 {r}에 연율 변동성까지 {v}로 높아 단기 스트레스로 판정한다.",
        "25%를 웃도는 연율 변동성({v})과 시장 수익률 {r}가 겹쳐 단기 스트레스다.",
        "변동성 {v}와 수익률 {r}, 두 조건이 함께 걸려 단기 스트레스 국면이다.",
    ),
    "STRONG_BULL": (
        "시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}가 모두 강세장 기준을 웃돈다.",
        "강세장 조건 셋이 모두 맞는다. 시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}다.",
        (
            "상승이 넓고 이어진다. 상승 종목 비중 {b}, 10일 모멘텀 {m}, "
            "시장 수익률 {r}로 강세장 조건을 다 채웠다."
        ),
        (
            "10일 모멘텀 {m}가 받치는 가운데 시장 수익률 {r}, "
            "상승 종목 비중 {b}로 강세장 기준을 모두 넘었다."
        ),
        "오른 종목이 {b}나 된다. 시장 수익률 {r}에 10일 모멘텀 {m}까지 더해 강세장이다.",
        "하루 {r} 오르고 10일 모멘텀도 {m}인 데다 상승 종목 비중이 {b}라 강세장이다.",
        "매수가 고르게 퍼졌다. 시장 수익률 {r}, 상승 종목 비중 {b}, 10일 모멘텀 {m}면 강세장이다.",
        (
            "몇 종목만의 상승이 아니다. 상승 종목 비중 {b}에 "
            "시장 수익률 {r}, 10일 모멘텀 {m}라 강세장이다."
        ),
        "당일 {r}, 10일 모멘텀 {m}에 상승 종목 비중도 {b}로 넓어 강세장으로 판정한다.",
        "추세({m})와 상승 종목 비중({b})이 모두 좋은 날의 {r} 상승이라 강세장으로 본다.",
    ),
    "WEAKENING": (
        "상승 종목 비중 {b}가 35%와 50% 사이이고 시장 수익률도 {r}라 시장이 약해지고 있다.",
        "지수는 {r}지만 상승 종목 비중이 {b}라 투매가 아니라 약화로 본다.",
        "상승 종목 비중 {b}로는 절반을 넘지 못했고 시장 수익률도 {r}라 약화 국면이다.",
        "오른 종목은 {b}, 시장 수익률은 {r}다. 약화 국면에 해당한다.",
        "매수세가 넓지 않다. 상승 종목 비중 {b}에 시장 수익률 {r}로 약화 조건을 채운다.",
        "시장 수익률 {r}는 손실이고 상승 종목 비중 {b}는 35%와 50% 사이에 있어 약화로 판정한다.",
        "당일 {r}에 상승 종목 비중 {b}면 무너진 장은 아니고 약화 국면이다.",
        (
            "파는 쪽이 우세하지만 전면적이지는 않다. "
            "시장 수익률 {r}, 상승 종목 비중 {b}의 약화 국면이다."
        ),
    ),
    "MILD_BULL": (
        "상승 종목 비중 {b}가 절반을 넘고 시장 수익률도 {r}라 완만한 상승 국면이다.",
        "시장 수익률이 {r}로 오르고 오른 종목도 {b}로 절반을 넘어 완만한 상승세다.",
        "오른 종목이 더 많은({b}) 가운데 시장 수익률이 {r}라 완만한 상승이다.",
        "완만하게 오르는 장이다. 시장 수익률이 {r}, 상승 종목 비중이 {b}다.",
        "지수 {r} 상승을 상승 종목 비중 {b}가 뒷받침해 완만한 상승으로 본다.",
        "절반이 넘는 {b}의 종목이 올랐고 시장 수익률이 {r}라 완만한 상승 국면으로 분류한다.",
        "시장 수익률 {r}, 상승 종목 비중 {b}로 완만한 상승 조건을 채운다.",
        "사는 쪽이 우세하다. 상승 종목 비중 {b}, 시장 수익률 {r}로 완만한 상승 국면이다.",
        "당일 {r} 오른 데다 상승 종목 비중이 {b}라 완만한 상승으로 판정한다.",
    ),
    "SHORT_TERM_STRESS": (
        "시장 수익률이 {r}로 -1%보다 깊게 밀려 단기 스트레스로 본다.",
        "하루 낙폭이 기준을 넘었다. 시장 수익률 {r}는 -1%보다 깊어 단기 스트레스다.",
        "상승 종목 비중 {b}에 시장 수익률 {r}면 -1%보다 깊은 하락이라 단기 스트레스다.",
        "-1%보다 깊은 하락은 단기 스트레스다. 시장 수익률이 {r}까지 밀렸다.",
        "지수가 하루 만에 {r}까지 밀렸다. -1%를 밑돌아 단기 스트레스로 본다.",
        "당일 수익률 {r}는 -1%를 밑돈다. 단기 스트레스로 판정한다.",
        "하락 폭이 가볍지 않다. 시장 수익률 {r}는 -1% 아래여서 단기 스트레스 국면이다.",
        "단기 스트레스 조건인 -1% 하회가 확인된다. 시장 수익률 {r}, 상승 종목 비중 {b}다.",
        "오른 종목이 {b}이고 시장 수익률은 -1%보다 낮은 {r}로 단기 스트레스다.",
    ),
    "shallow": (
        "시장 수익률이 {r}로 밀렸지만 -1%를 밑돌지는 않아 약화 국면으로 본다.",
        "하락은 {r}에 그쳐 -1%를 밑돌지 않으므로 약화 국면이다.",
        "지수 등락 {r}는 1%를 넘지 않는 손실이라 약화로 분류한다.",
        "낙폭이 얕다. 시장 수익률 {r}는 -1% 아래로 내려가지 않아 약화 국면이다.",
        "상승 종목 비중은 {b}지만 시장 수익률이 {r}로 손실이 1%를 넘지 않아 약화로 판정한다.",
        "손실이 나기는 했다. 시장 수익률 {r}는 1% 이내의 손실이라 약화 국면에 머문다.",
        "밀리긴 했어도 {r}다. 손실이 1% 이내라 약화로 본다.",
        "당일 {r}의 가벼운 손실은 약화 국면으로 읽는다.",
        "급락은 아니다. 상승 종목 비중 {b}, 시장 수익률 {r}의 약화 국면이다.",
    ),
    "narrow": (
        "지수는 {r} 올랐으나 오른 종목이 {b}에 그쳐 완만한 상승 국면이다.",
        "시장 수익률이 {r}로 올랐지만 상승 종목 비중이 {b}에 그쳐 완만한 상승으로만 본다.",
        "상승 종목 비중 {b}로는 {r} 상승을 완만한 상승 이상으로 볼 수 없다.",
        (
            "오른 종목이 절반을 넘지 못했다. 상승 종목 비중 {b}, "
            "시장 수익률 {r}로 완만한 상승에 그친다."
        ),
        "일부 종목이 끌어올린 {r} 상승이라, 상승 종목 비중 {b}로는 완만한 상승으로 본다.",
        "지수만 보면 {r} 상승이지만 종목의 {b}만 올라 완만한 상승으로 판정한다.",
        "쏠림이 있는 상승이다. 시장 수익률 {r}, 상승 종목 비중 {b}면 완만한 상승이다.",
        "수익률 {r}는 플러스지만 상승 종목 비중이 {b}라 완만한 상승으로 둔다.",
        "당일 {r} 올랐어도 상승 종목 비중은 {b}다. 완만한 상승까지만 인정한다.",
    ),
    "flat": (
        "시장 수익률이 {r}로 밀리지 않아 완만한 상승 국면으로 본다.",
        "지수가 {r}로 제자리라 손실이 아니고, 규칙상 완만한 상승이다.",
        "손실이 없는 날이다. 시장 수익률 {r}는 완만한 상승으로 둔다.",
    ),
}

_ENGLISH_GROUNDS = {
    "BEAR": (
        (
            "Market return {r}, breadth {b} and 10-day momentum "
            "{m} are all below the bear-market limits."
        ),
        "All three bear tests are met: return {r}, breadth {b}, momentum {m}.",
        (
            "10-day momentum has sunk to {m}, and with a return of "
            "{r} and breadth of {b} every bear condition holds."
        ),
        "Selling runs through the market: breadth {b}, return {r}, momentum {m}, a bear market.",
        "Few names rise: breadth is {b}, the return {r} and momentum {m}, which is a bear market.",
        "This is no one-day slip but a bear market: momentum {m}, return {r}, breadth only {b}.",
        "Whichever gauge one takes, return {r}, breadth {b} or momentum {m}, it reads bear market.",
        (
            "Breadth has collapsed to {b}; with the return at "
            "{r} and momentum at {m} this is a bear market."
        ),
        "Price, breadth and trend have all broken ({r}, {b}, {m}): a bear market.",
        "On the day {r}, over ten days {m}, and {b} of the names rising: a bear market.",
    ),
    "volatile": (
        (
            "Volatility decides: at {v} it is above 25%, "
            "and a return of {r} makes it short-term stress."
        ),
        (
            "With annualized volatility of {v}, above 25%, "
            "a return of {r} counts as short-term stress."
        ),
        "Swings run at {v} a year, so a market return of {r} is short-term stress.",
        "The return of {r} is deeper than -1.5% while volatility stands at {v}: short-term stress.",
        (
            "On its own {r} would be a bad day; with volatility "
            "of {v}, above 25%, it is short-term stress."
        ),
        "A nervous tape: volatility {v}, return {r}, hence short-term stress.",
        "Two tests trip at once, the return at {r} and volatility at {v}: short-term stress.",
        "Volatility above 25% ({v}) turns a return of {r} into short-term stress.",
    ),
    "STRONG_BULL": (
        "Market return {r}, breadth {b} and 10-day momentum {m} all clear the strong-bull limits.",
        "All three strong-bull tests are met: return {r}, breadth {b}, momentum {m}.",
        "A gain of {r} with breadth of {b} and 10-day momentum of {m} is a strong bull market.",
        "Broad and lasting, with breadth {b}, momentum {m} and {r} on the day: a strong bull.",
        (
            "Momentum of {m} carries on, and a return of {r} "
            "with breadth of {b} clears each strong-bull test."
        ),
        (
            "Buying has spread to {b} of the names; with a return "
            "of {r} and momentum of {m} this is a strong bull."
        ),
        "Breadth of {b} backs the gain of {r}, and momentum of {m} confirms a strong bull.",
        (
            "Gains of {r} on the day and {m} over ten days, "
            "shared by {b} of the names, make a strong bull market."
        ),
        "Not just a handful of names: breadth {b}, return {r} and momentum {m} make a strong bull.",
        "Trend, breadth and price agree ({m}, {b}, {r}) on a strong bull market.",
    ),
    "WEAKENING": (
        "Breadth of {b}, between 35% and 50%, on a return of {r} is a weakening market.",
        "The index returned {r} while {b} of the names still rose: weakening rather than a rout.",
        "No more than half the names rose, {b}, and the return is {r}: a weakening market.",
        "With {b} of the names rising, a return of {r} reads as weakening.",
        "Participation is no more than half: breadth {b}, return {r}, hence weakening.",
        "The market is weakening: a return of {r}, with breadth inside 35% to 50% at {b}.",
        "Sellers lead, though not everywhere: return {r}, breadth {b}, a weakening market.",
        "The negative return, {r}, meets breadth of {b} in the 35% to 50% range: weakening.",
    ),
    "MILD_BULL": (
        "More than half of the names rose, {b}, and the return is {r}: a mild uptrend.",
        "Breadth of {b} supports the gain of {r}, which makes it a mild uptrend.",
        "The market is rising: return {r}, breadth {b}, enough for a mild uptrend.",
        "Risers lead with {b}, and at {r} the market is in a mild uptrend.",
        "With the index up {r} and {b} of the names rising, the uptrend is mild.",
        "A return of {r}, with breadth past half at {b}, is a mild uptrend.",
        "Up {r} with {b} of the names rising: a mild uptrend.",
        "Buyers have the upper hand, with {b} of the names and {r} on the index: a mild uptrend.",
        "This is a mild uptrend: {b} of the names rose and the market made {r}.",
    ),
    "SHORT_TERM_STRESS": (
        "A market return of {r} is deeper than -1%, so this is short-term stress.",
        "The day's return, {r}, is below -1%: short-term stress.",
        "Short-term stress begins below -1%, and the market return is {r}.",
        "Breadth of {b} and a return of {r}, deeper than -1%, spell short-term stress.",
        "The drop counts here: {r} is below -1%, hence short-term stress.",
        "A return of {r} is a loss beyond 1% in a day: short-term stress.",
        "At {r} the index has gone below -1%, which is short-term stress.",
        "It was no ordinary dip: {r}, with breadth at {b}, is short-term stress.",
        "The -1% line is broken at {r}, so the call is short-term stress.",
    ),
    "shallow": (
        "A loss of no more than 1%, with the return at {r}, means a weakening market.",
        "The loss stays at {r}, not beyond -1%, which is a weakening market.",
        "Down by no more than 1%, at {r}, the market counts as weakening.",
        "A shallow dip: {r} does not go beyond -1%, so the call is weakening.",
        "Breadth is {b}, but at {r} the loss is no more than 1% and the market is weakening.",
        "A weakening market and no worse: the return of {r} is not beyond -1%.",
        "Slightly lower at {r}, with the -1% line unbroken: weakening.",
        "A negative day at {r} that holds the -1% line is weakening.",
        "Red but contained, {r} against a limit of -1%: a weakening market.",
    ),
    "narrow": (
        "Breadth of only {b} holds the gain of {r} down to a mild uptrend.",
        "The gain of {r} is narrow, with breadth of {b}: a mild uptrend.",
        "A narrow advance, {r} on breadth of only {b}, is no more than a mild uptrend.",
        "The index rose {r}, but with breadth of {b} that is no more than a mild uptrend.",
        "Half the names or fewer rose ({b}), so {r} is only a mild uptrend.",
        "Leadership is thin: return {r}, breadth {b}, a mild uptrend.",
        "The return is positive at {r}, yet breadth of {b} allows a mild uptrend and no more.",
        "Up {r} without the majority of the names (breadth {b}): a mild uptrend.",
        "Participation lags the index: {b} against a gain of {r}, a mild uptrend.",
    ),
    "flat": (
        "A market return of {r} is no loss, which makes it a mild uptrend.",
        "The index stood still at {r}; no loss, and by the rule a mild uptrend.",
        "No loss at {r}: the rule calls it a mild uptrend.",
    ),
}

GROUNDS = {"ko": _KOREAN_GROUNDS, "en": _ENGLISH_GROUNDS}
"""Why the regime is what it is, by the rule's own reason (wording.ground_of)."""

TURNS = {
    "ko": (
        "{label_i} {limit} {moves_if} {regime_ro} 바뀐다.",
        "{label} {limit}까지 {gap}%p 남았고, 그 {moves_if} {regime_ro} 넘어간다.",
        "국면을 가르는 가장 가까운 선은 {label} {limit}로, 그 {moves_if} {regime_da}.",
        "지금 {label_i} {limit}에서 {gap}%p 떨어져 있어, 그 {moves_if} {regime_ro} 본다.",
        "다음 국면까지는 {gap}%p로, {label_i} {limit} {moves_if} {regime_da}.",
        "{gap}%p 더 움직여 {label_i} {limit} {moves_if} {regime_ro} 판정이 바뀐다.",
        "주시할 선은 {label} {limit}로, 그 {moves_if} {regime_ro} 옮긴다.",
        "이 판단은 {label_i} {limit} {moves_if} {regime_ro} 바뀐다.",
        "여유는 {gap}%p이고 {label_i} {limit} {moves_if} {regime_ro} 전환한다.",
        "경계는 {label} {limit}에 있고, 그 {moves_if} {regime_ro} 다시 판정한다.",
        "다음 점검에서 {label_i} {limit} {moves_if} {regime_da}.",
        "가장 먼저 판정을 바꿀 조건은 {label} {limit}로, 그 {moves_if} {regime_da}.",
        "{label_i} {gap}%p 더 움직여 {limit} {moves_if} {regime_da}.",
        "판정은 {label_i} {limit} {moves_if} {regime_ro} 넘어간다.",
        "앞으로 {label_i} {limit} {moves_if} {regime_ro} 본다.",
        "{regime_ro} 넘어가는 선은 {label} {limit}로, {gap}%p의 여유가 있다.",
        "기준선 {limit}까지 {gap}%p 남은 {label_i} 그 {moves_if} {regime_da}.",
    ),
    "en": (
        "It turns to {regime} if the {label} {moves} {limit}.",
        "The {label} is {gap} points from {limit}; if it {moves} that, the regime is {regime}.",
        "What would change the view is the {label}: if it {moves} {limit}, the regime is {regime}.",
        (
            "Nearest to its border is the {label}, {gap} points "
            "from the {limit} beyond which lies {regime}."
        ),
        "The call holds until the {label} {moves} {limit}, which would mean {regime}.",
        "Watch the {label}: once it {moves} {limit}, {regime} applies.",
        "Should the {label} move {gap} points and pass {limit}, the regime becomes {regime}.",
        "{gap} points separate the {label} from {limit}, and past that lies {regime}.",
        (
            "First to turn the call would be the {label}: "
            "when it {moves} {limit}, the regime is {regime}."
        ),
        "There are {gap} points between the {label} and {limit}, where {regime} begins.",
        "{regime} is {gap} points away: it starts when the {label} {moves} {limit}.",
        "The line to watch is {limit} on the {label}, with {regime} on the other side.",
        "If the {label} {moves} {limit}, read {regime} instead.",
        "{regime} would follow if the {label} {moves} {limit}.",
        "Past {limit} in the {label}, {gap} points away, the call is {regime}.",
        "The view changes to {regime} as soon as the {label} {moves} {limit}.",
        "Keep an eye on the {label}, since {limit} is where {regime} starts.",
        "{limit} on the {label} is the border; {regime} lies beyond it, {gap} points away.",
    ),
}
"""What would change the view: the number that is nearest to its limit. {limit} comes with its %,
{gap} is in points.
"""
