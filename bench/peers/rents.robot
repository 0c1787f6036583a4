*** Settings ***
Documentation       The same work in Robot Framework Browser: one browser and one page, signed in once.
Library             Browser    timeout=30s
Library             bench.peers.rents
Suite Setup         Sign In
Suite Teardown      Close Browser


*** Variables ***
${WORK}             iframe[name=work] >>>


*** Tasks ***
Put The New Rents On
    ${rows}    Read Batch    ${BATCH}
    FOR    ${row}    IN    @{rows}
        Change Rent    ${row}
    END


*** Keywords ***
Sign In
    @{arguments}    Create List    --no-sandbox
    New Browser    chromium    headless=True    executablePath=%{BENCH_BROWSER}    args=${arguments}
    New Context    viewport={'width': 1024, 'height': 700}
    New Page    %{BENCH_URL}
    Handle Future Dialogs    action=accept
    Fill Text    [name=f_01]    %{BENCH_USERNAME}
    Fill Text    [name=f_02]    %{BENCH_PASSWORD}
    Click    [type=submit]
    Get Text    table.top    *=    Signed in as

Change Rent
    [Arguments]    ${row}
    Go To    %{BENCH_URL}
    Fill Text    ${WORK} [name=f_07]    ${row}[claim]
    Click    ${WORK} [type=submit]
    Click    ${WORK} a:text-is("${row}[claim]")
    ${text}    Read Claim    ${row}
    Should Contain    ${text}    Live
    Read Again
    ${text}    Read Claim    ${row}
    Should Not Contain    ${text}    ${row}[shown]
    Click    ${WORK} text="New rent"
    Fill Text    ${WORK} [name=f_11]    ${row}[weekly_rent]
    Fill Text    ${WORK} [name=f_12]    ${row}[from_date]
    Click    ${WORK} [type=submit]
    Wait For Elements State    ${WORK} p.said
    Read Again
    ${text}    Read Claim    ${row}
    Should Contain    ${text}    ${row}[shown]

Read Again
    ${navigation}    Promise To    Wait For Response    matcher=**/claim/*
    Evaluate JavaScript    ${WORK} body    () => location.reload()
    Wait For    ${navigation}

Read Claim
    [Arguments]    ${row}
    Wait For Elements State    ${WORK} text="New rent"
    ${text}    Get Text    ${WORK} body
    Should Contain    ${text}    Claim ${row}[claim]
    RETURN    ${text}
