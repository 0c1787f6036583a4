*** Settings ***
Documentation       Housing benefit: put a landlord's new rent on a claim. Robot Framework Browser works one row after another.
...                 `robot --variable BATCH:rents.csv rents.robot`
Library             Browser    timeout=5s
Library             OperatingSystem
Library             ${CURDIR}/rents.py
Suite Setup         Open Browser And Sign In
Suite Teardown      Close Browser


*** Variables ***
${WORK}             iframe[name=work] >>>
${TRIES}            ${4}
${SETTLES}          ${2}


*** Tasks ***
Put The New Rents On
    ${rows}    Read Batch    ${BATCH}
    FOR    ${row}    IN    @{rows}
        Work With Retries    ${row}
    END


*** Keywords ***
Work With Retries
    [Arguments]    ${row}
    FOR    ${tried}    IN RANGE    1    ${TRIES} + 1
        TRY
            Change Rent    ${row}
            RETURN
        EXCEPT    PersonNeeded: *    type=GLOB    AS    ${reason}
            Escalate    ${row}    ${reason}
            RETURN
        EXCEPT    AS    ${reason}
            IF    ${tried} == ${TRIES}
                Escalate    ${row}    ${reason}
            ELSE
                Log    ${row}[claim] is tried again: ${reason}    WARN
                # What was sent may still be on its way: a look that comes earlier proves nothing.
                Sleep    ${SETTLES * ${tried}}
            END
            Close Context
            Sign In
        END
    END

Change Rent
    [Arguments]    ${row}
    Go To Desk
    ${address}    Find Claim    ${row}
    ${text}    Read Claim    ${address}
    ${needed}    Rent Is Needed    ${text}    ${row}
    IF    not ${needed}    RETURN
    Click And Wait    a:text-is("New rent")    BN210
    Fill Text    ${WORK} [name=f_11]    ${row}[weekly_rent]
    Fill Text    ${WORK} [name=f_12]    ${row}[from_date]
    Click And Wait    [type=submit]    BN2
    ${refusals}    Get Element Count    ${WORK} p.err
    IF    ${refusals}
        ${refusal}    Get Text    ${WORK} p.err
        Fail    PersonNeeded: ${refusal}
    END
    ${text}    Read Claim    ${address}
    ${needed}    Rent Is Needed    ${text}    ${row}
    IF    ${needed}    Fail    the rent is not there after saving

Find Claim
    [Arguments]    ${row}
    @{found}    Create List
    Fill Text    ${WORK} [name=f_07]    ${row}[claim]
    Click And Wait    [type=submit]    BN120
    WHILE    True    limit=100
        ${links}    Get Elements    ${WORK} a:text-is("${row}[claim]")
        FOR    ${link}    IN    @{links}
            ${address}    Get Attribute    ${link}    href
            @{found}    Create List    @{found}    ${address}
        END
        ${more}    Get Element Count    ${WORK} a:text-is("Next")
        IF    not ${more}    BREAK
        Click And Wait    a:text-is("Next")    BN120
    END
    ${count}    Get Length    ${found}
    IF    ${count} != 1    Fail    PersonNeeded: ${count} claims have this reference
    RETURN    ${found}[0]

Read Claim
    [Arguments]    ${address}
    Mark As Left
    Evaluate JavaScript    ${WORK} body    () => { location.href = "${address}" }
    ${text}    Screen Should Come    BN200
    RETURN    ${text}

Click And Wait
    [Arguments]    ${selector}    ${screen}
    Mark As Left
    Click    ${WORK} ${selector}
    Screen Should Come    ${screen}

Mark As Left
    Evaluate JavaScript    ${WORK} body    (body) => { body.className = "left" }

Screen Should Come
    [Documentation]    Waits for the last thing of the next screen, and fails with what it says when that is an error.
    [Arguments]    ${screen}
    Wait For Elements State    ${WORK} body:not(.left) >> .foot, h1:has-text("Error")    attached
    ${text}    Get Property    ${WORK} body    innerText
    Should Contain    ${text}    Screen ${screen}
    RETURN    ${text}

Go To Desk
    Go To    %{BENEFITS_URL}
    ${signed_in}    Get Element Count    table.top
    IF    not ${signed_in}
        Fill Text    [name=f_01]    %{BENEFITS_USERNAME}
        Fill Secret    [name=f_02]    $password
        Click    [type=submit]
        Wait For Elements State    table.top
    END
    Wait For Elements State    ${WORK} [name=f_07]

Open Browser And Sign In
    @{arguments}    Create List    --no-sandbox
    New Browser    chromium    headless=True    executablePath=%{BROWSER}    args=${arguments}
    Sign In

Sign In
    VAR    ${password}    %{BENEFITS_PASSWORD}    scope=SUITE
    # On a connection that was used before, Chromium sends a save a second time by itself when it is dropped.
    VAR    &{alone}    Connection=close
    New Context    extraHTTPHeaders=${alone}
    New Page
    Handle Future Dialogs    action=accept
    Go To Desk

Escalate
    [Documentation]    Leaves the reason and a screenshot where people look.
    [Arguments]    ${row}    ${reason}
    Create File    %{ESCALATED}/${row}[claim]/reason.txt    ${reason}
    Take Screenshot    %{ESCALATED}/${row}[claim]/screen    fullPage=True
    Log    ${row}[claim] needs a person: ${reason}    WARN
