package date

import (
	"strconv"
	"strings"
	"time"
)

// Fields that a time stamp holds.
const (
	hasYear = 1 << iota
	hasMonth
	hasDay
	hasClockField
	hasZone
	hasFraction
	hasYearDay
	hasWeekday
	hasWeek
	hasEpoch
)

// stamp is what was read, not yet brought to a point in time.
type stamp struct {
	has                                           uint16
	year, month, day, hour, minute, second, zone  int // zone: minutes east of UTC
	nanosecond, yearDay, weekday, week, weekStart int // weekday: Sunday is 0; weekStart: the weekday on which weeks begin
	epoch                                         int64
}

// Reference supplies what a time stamp leaves out.
type Reference struct {
	Now      time.Time      // a year is chosen so that the date is not more than a day past it; today where the date is missing
	Location *time.Location // for stamps without a zone; nil = time.Local
	Fraction bool           // keep fractions of a second (fail2ban drops them, save those of EPOCH)
}

// Time brings the stamp to a point in time. ok is false if it is no date of the calendar.
func (s *stamp) Time(ref Reference) (t time.Time, ok bool) {
	if s.has&hasEpoch != 0 {
		return time.Unix(s.epoch, int64(s.nanosecond)).UTC(), true
	}
	loc := ref.Location
	if loc == nil {
		loc = time.Local
	}
	if s.has&hasZone != 0 {
		loc = time.UTC
	}
	now := ref.Now.In(loc)
	if s.has&hasZone != 0 {
		now = ref.Now.UTC().Add(time.Duration(s.zone) * time.Minute)
	}
	year, month, day, dated := s.date(now)
	if month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || s.hour > 23 || s.minute > 59 || s.second > 61 {
		return time.Time{}, false
	}
	nano := 0
	if ref.Fraction {
		nano = s.nanosecond
	}
	at := func(year, day int) time.Time {
		return time.Date(year, time.Month(month), day, s.hour, s.minute, s.second, nano, loc).Add(-time.Duration(s.zone) * time.Minute)
	}
	t = at(year, day)
	switch {
	case !dated && t.After(ref.Now):
		t = at(year, day-1)
	case dated && s.has&hasYear == 0 && t.After(ref.Now.Add(24*time.Hour)):
		t = at(year-1, day)
	}
	return t, true
}

// date fills in the missing parts of the date; dated is false if there was none at all.
func (s *stamp) date(now time.Time) (year, month, day int, dated bool) {
	year, month, day = s.year, s.month, s.day
	if s.has&hasYear == 0 {
		year = now.Year()
	}
	if s.has&(hasMonth|hasDay) == hasMonth|hasDay {
		return year, month, day, true
	}
	switch {
	case s.has&hasYearDay != 0:
		t := time.Date(year, 1, s.yearDay, 0, 0, 0, 0, time.UTC)
		return t.Year(), int(t.Month()), t.Day(), true
	case s.has&hasWeek != 0 && s.has&hasWeekday != 0:
		first := int(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).Weekday())
		offset := (s.weekStart - first + 7) % 7 // days to the first day of week 1
		t := time.Date(year, 1, 1+offset+7*(s.week-1)+(s.weekday-s.weekStart+7)%7, 0, 0, 0, 0, time.UTC)
		return t.Year(), int(t.Month()), t.Day(), true
	}
	if s.has&hasMonth == 0 {
		month = int(now.Month())
	}
	if s.has&hasDay == 0 {
		day = now.Day()
	}
	return year, month, day, s.has&(hasYear|hasMonth|hasDay) != 0
}

func daysIn(year, month int) int {
	switch month {
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	case 4, 6, 9, 11:
		return 30
	}
	return 31
}

// read fills st from the groups of a match and reports whether they can be a date.
func (t *template) read(line string, groups []int, st *stamp) bool {
	switch t.family {
	case epoch, longEpoch:
		text := line[groups[2]:groups[3]]
		if g := t.group('e', groups); g >= 0 {
			text = line[groups[2*g]:groups[2*g+1]]
		}
		return readEpoch(strings.Trim(text, "[]"), t.family == longEpoch, st)
	case tai64n:
		text := line[groups[2]:groups[3]]
		if g := t.group('t', groups); g >= 0 {
			text = line[groups[2*g]:groups[2*g+1]]
		}
		return readTAI64N(text, st)
	}
	hour12, afternoon, pm := false, false, false
	for g, name := range t.fields {
		if name == 0 || groups[2*g] < 0 {
			continue
		}
		text := strings.TrimSpace(line[groups[2*g]:groups[2*g+1]])
		n, err := strconv.Atoi(text)
		switch name {
		case 'Y', 'y', 'm', 'd', 'H', 'I', 'M', 'S', 'f', 'j', 'U', 'W', 'w':
			if err != nil {
				return false
			}
		}
		switch name {
		case 'Y':
			st.year, st.has = n, st.has|hasYear
		case 'y':
			st.year, st.has = n+2000, st.has|hasYear
		case 'm':
			st.month, st.has = n, st.has|hasMonth
		case 'b', 'B':
			if m, ok := monthOf(text + " "); ok {
				st.month, st.has = m, st.has|hasMonth
			}
		case 'd':
			st.day, st.has = n, st.has|hasDay
		case 'H':
			st.hour, st.has = n, st.has|hasClockField
		case 'I':
			st.hour, st.has, hour12 = n, st.has|hasClockField, true
		case 'p':
			pm, afternoon = true, strings.EqualFold(text, "pm")
		case 'M':
			st.minute = n
		case 'S':
			st.second = n
		case 'f':
			st.nanosecond, st.has = n, st.has|hasFraction
			for range 9 - len(text) {
				st.nanosecond *= 10
			}
		case 'j':
			st.yearDay, st.has = n, st.has|hasYearDay
		case 'U':
			st.week, st.has = n, st.has|hasWeek
		case 'W':
			st.week, st.weekStart, st.has = n, 1, st.has|hasWeek
		case 'w':
			st.weekday, st.has = n, st.has|hasWeekday
		case 'a', 'A':
			st.weekday, st.has = strings.Index("sunmontuewedthufrisat", strings.ToLower(text[:3]))/3, st.has|hasWeekday
		case 'z', 'Z':
			zone, ok := zone(text)
			if !ok {
				return false
			}
			st.zone, st.has = zone, st.has|hasZone
		}
	}
	if hour12 && pm {
		st.hour %= 12
		if afternoon {
			st.hour += 12
		}
	}
	return st.hour < 24
}

func (t *template) group(field byte, groups []int) int {
	for g, name := range t.fields {
		if name == field && groups[2*g] >= 0 {
			return g
		}
	}
	return -1
}

// readEpoch reads seconds since 1970; long ones may also be milliseconds or microseconds.
func readEpoch(text string, long bool, st *stamp) bool {
	whole, fraction, _ := strings.Cut(text, ".")
	v, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return false
	}
	scale := int64(1)
	if long && len(whole) >= 16 {
		scale = 1_000_000
	} else if long && len(whole) >= 13 {
		scale = 1_000
	}
	st.epoch, st.has = v/scale, hasEpoch|hasZone
	nano := v % scale * (1_000_000_000 / scale)
	for unit := 100_000_000 / scale; fraction != "" && unit > 0; unit /= 10 {
		nano += int64(fraction[0]-'0') * unit
		fraction = fraction[1:]
	}
	st.nanosecond = int(nano)
	return true
}

// readTAI64N reads D. J. Bernstein's external TAI64N label. Like fail2ban, and unlike the format's own word, it takes no
// leap seconds off.
func readTAI64N(text string, st *stamp) bool {
	if len(text) != 25 {
		return false
	}
	v, err := strconv.ParseUint(text[1:17], 16, 64)
	if err != nil {
		return false
	}
	st.epoch, st.has = int64(v&^(1<<62)), hasEpoch|hasZone
	return true
}

// zoneNames are abbreviations by their offset in minutes; the ambiguous ones follow the United States, as RFC 2822 does.
var zoneNames = map[int]string{
	-720: "Y", -660: "X SST NUT", -600: "W HST HAST CKT TAHT", -570: "MART", -540: "V AKST HADT HDT GAMT", -480: "U PST AKDT PT", -420: "T MST PDT",
	-360: "S CST MDT GALT EAST", -300: "R EST CDT COT PET ECT EASST ET", -270: "VET", -240: "Q AST EDT BOT CLT GYT PYT FKT COST", -210: "NST NT",
	-180: "P ADT ART BRT CLST FKST GFT PMST PYST SRT UYT WGT", -150: "NDT", -120: "O BRST FNT PMDT UYST WGST", -60: "N AZOT CVT EGT",
	0: "Z UTC GMT WET WT EGST", 60: "A CET WEST WEDT BST WAT DFT", 120: "B EET CEST CEDT CAT SAST WAST", 180: "C MSK EEST EEDT EAT IDT", 210: "IRST",
	240: "D GST AZT AMT GET SAMT MUT RET SCT MSD KUYT", 270: "AFT IRDT", 300: "E PKT UZT TJT TMT TFT MVT YEKT AQTT AZST AMST MAWT HMT", 330: "IST SLT",
	345: "NPT", 360: "F BTT ALMT KGT IOT BIOT OMST NOVT YEKST", 390: "MMT CCT", 420: "G ICT WIB KRAT CXT DAVT HOVT OMSST NOVST",
	480: "H AWST HKT SGT MYT PHT BNT WITA WST IRKT ULAT CAST KRAST", 540: "I JST KST WIT TLT PWT YAKT AWDT WDT IRKST", 570: "ACST",
	600: "K AEST CHST PGT VLAT YAPT YAKST", 630: "ACDT LHST", 660: "L AEDT LHDT MAGT NCT PONT SBT VUT VLAST", 690: "NFT",
	720: "M NZST FJT GILT MHT TVT WFT PETT ANAT MAGST PETST", 780: "NZDT FJST",
}

// abbreviations are the same by name.
var abbreviations = func() map[string]int {
	out := make(map[string]int)
	for minutes, names := range zoneNames {
		for _, name := range strings.Fields(names) {
			out[name] = minutes
		}
	}
	return out
}()

// zone reads a zone's offset from UTC in minutes: an abbreviation, an offset (+hh, +hhmm, +hh:mm), or both ("CET+0130").
func zone(text string) (minutes int, ok bool) {
	i := strings.IndexAny(text, "+-")
	if i < 0 {
		minutes, ok = abbreviations[strings.ToUpper(text)]
		return minutes, ok
	}
	if i > 0 {
		if minutes, ok = abbreviations[strings.ToUpper(text[:i])]; !ok {
			return 0, false
		}
	}
	digits := strings.ReplaceAll(text[i+1:], ":", "")
	if len(digits) == 1 || len(digits) == 3 {
		digits = "0" + digits
	}
	if len(digits) != 2 && len(digits) != 4 {
		return 0, false
	}
	v, err := strconv.Atoi((digits + "00")[:4])
	if err != nil || v%100 > 59 {
		return 0, false
	}
	v = v/100*60 + v%100
	if text[i] == '-' {
		v = -v
	}
	return minutes + v, true
}

// Location reads an abbreviation or offset ("CET", "+0130", "CET+0130"), a name of the IANA data base, or a rule as POSIXLocation does.
func Location(text string) (*time.Location, error) {
	if minutes, ok := zone(text); ok {
		return time.FixedZone(text, 60*minutes), nil
	}
	l, err := time.LoadLocation(text)
	if err == nil {
		return l, nil
	}
	if rule, posixErr := POSIXLocation(text); posixErr == nil {
		return rule, nil
	}
	return nil, err
}
